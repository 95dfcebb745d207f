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
# The tables, here and not in the manifest: there they would be a third of the time of an import. Behind
# views that somebody made for himself; a session that takes no views shows lists.
try { Microsoft.PowerShell.Utility\Update-FormatData -AppendPath ([System.IO.Path]::Combine($script:ModuleRoot, 'JimHost.Format.ps1xml')) -ErrorAction Ignore }
catch [System.Management.Automation.RuntimeException] { Microsoft.PowerShell.Utility\Write-Debug "No tables for the types of JimHost: $_" }
