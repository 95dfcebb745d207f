# The bridge between PowerShell and the host: starts the host, sends calls, turns its messages into
# output, errors, warnings, progress and questions. `jimhost generate` puts it into JimHost.psm1 as a
# text; the first cmdlet runs that in a function, hence `function script:` and no $PSScriptRoot.
# docs/protocol.md describes the messages.

$script:ModuleRoot = $ExecutionContext.SessionState.Module.ModuleBase
# Version of the messages; the host says what to update when it speaks another.
$script:HostProtocol = 1
# Filled at the first call.
$script:JsonReader = $null
$script:Link = $null
# Cmdlets of this runspace with changes in flight, and a number for each pipeline.
$script:Ahead = [System.Collections.Generic.List[hashtable]]::new()
$script:Pipelines = 0
$script:FreeQueues = [System.Collections.Concurrent.ConcurrentStack[System.Collections.Concurrent.BlockingCollection[string]]]::new()
$script:CommonParameters = [System.Collections.Generic.HashSet[string]]::new([System.Management.Automation.Cmdlet]::CommonParameters, [StringComparer]::OrdinalIgnoreCase)
$script:CommonParameters.UnionWith([System.Management.Automation.Cmdlet]::OptionalCommonParameters)
# The tables, here and not in the manifest: there they would be a third of the time of an import. A
# module of their own, since Update-FormatData isn't the same everywhere. A session that takes no views
# shows lists.
Microsoft.PowerShell.Core\Import-Module -Name ([System.IO.Path]::Combine($script:ModuleRoot, 'JimHost.Views.psd1')) -ErrorAction Ignore -Verbose:$false -Debug:$false
