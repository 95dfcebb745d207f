# The bridge between PowerShell and the host: starts the host, sends calls, turns its messages into
# output, errors, warnings, progress and questions. `jimhost generate` puts it in front of the
# generated functions in JimHost.psm1. docs/protocol.md describes the messages.

Set-StrictMode -Version Latest

# Version of the messages; the host says what to update when it speaks another.
$script:HostProtocol = 1
# Filled at the first call, so that importing the module costs next to nothing.
$script:JsonReader = $null
$script:Link = $null
# Cmdlets of this runspace with changes in flight, and a number for each pipeline.
$script:Ahead = [System.Collections.Generic.List[hashtable]]::new()
$script:Pipelines = 0
$script:FreeQueues = [System.Collections.Concurrent.ConcurrentStack[System.Collections.Concurrent.BlockingCollection[string]]]::new()
$script:CommonParameters = [System.Collections.Generic.HashSet[string]]::new([System.Management.Automation.Cmdlet]::CommonParameters, [StringComparer]::OrdinalIgnoreCase)
$script:CommonParameters.UnionWith([System.Management.Automation.Cmdlet]::OptionalCommonParameters)
