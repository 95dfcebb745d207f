# One call of one cmdlet: its arguments, and what it answers.

# The bound parameters as JSON members. The commonest types without a further call: it counts, per item.
function script:ConvertTo-HostArguments($Bound, $State) {
    $json = ''
    foreach ($pair in $Bound.GetEnumerator()) {
        $name = $pair.Key
        if ($script:CommonParameters.Contains($name)) { continue }
        $value = $pair.Value
        if ($value -is [int]) { $text = "$value" }
        # The host doesn't know PowerShell's current location.
        elseif ($State.Files -and $name -in $State.Files -and $value -is [string] -and $value) { $text = ConvertTo-HostJson $State.Cmdlet.GetUnresolvedProviderPathFromPSPath($value) }
        elseif ($value -is [string]) { $text = [System.Web.HttpUtility]::JavaScriptStringEncode($value, $true) }
        elseif ($name -eq 'InputObject' -and $State.Take) { $text = ConvertTo-HostInput $value $State.Take }
        else { $text = ConvertTo-HostJson $value }
        $json = if ($json) { "$json,`"$name`":$text" } else { "`"$name`":$text" }
    }
    $json
}

# Sends a call; Receive-HostCall takes what it answers.
function script:Start-HostCall($State, [string] $Set, $Bound) {
    $json = $State.Head + ',"arguments":{' + (ConvertTo-HostArguments $Bound $State)
    $json += if ($Set -and $Set -ne '__AllParameterSets') { "},`"set`":`"$Set`"}}`n" } else { "}}}`n" }

    $link = $script:Link
    if ($null -eq $link -or $link.Dead) {
        try { $link = $script:Link = Get-HostLink }
        catch {
            $record = [System.Management.Automation.ErrorRecord]::new([InvalidOperationException]::new($_.Exception.Message), 'JIM.HostNotStarted', 'ResourceUnavailable', $State.Name)
            $State.Cmdlet.ThrowTerminatingError($record)
        }
    }
    if ($script:Ahead.Count) { Wait-HostChange $State }
    # Queues are used again: a call in a pipeline of thousands shouldn't cost one.
    $queue = $null
    if (-not $script:FreeQueues.TryPop([ref] $queue)) { $queue = [System.Collections.Concurrent.BlockingCollection[string]]::new() }
    [System.Threading.Monitor]::Enter($link.Write)
    try {
        $id = [string] (++$link.NextId)
        $null = $link.Queues.TryAdd($id, $queue)
        $link.Writer.Write("{`"call`":{`"id`":$id$json")
        $link.Writer.Flush()
    }
    catch [System.IO.IOException], [System.ObjectDisposedException] { $link.Dead = $true }
    finally { [System.Threading.Monitor]::Exit($link.Write) }
    # Kept: lines that were read before their turn came; Ended: the last one is among them. Leave: the
    # statement with which something downstream left the pipeline.
    @{ Id = $id; Link = $link; Queue = $queue; Open = $true; Kept = $null; Ended = $false; Leave = ''; Sent = [long] 0; Input = $(if ($Bound.ContainsKey('InputObject')) { $Bound['InputObject'] }) }
}

# Writes what a call answers, to its last message.
function script:Receive-HostCall($State, $Call) {
    $ErrorActionPreference = $State.Error
    $WarningPreference = $State.Warning
    $VerbosePreference = $State.Verbose
    $DebugPreference = $State.Debug
    $InformationPreference = $State.Information
    $ProgressPreference = $State.Progress
    $WhatIfPreference = $State.WhatIf
    $ConfirmPreference = $State.Confirm
    $Cmdlet = $State.Cmdlet
    $Name = $State.Name
    $link = $Call.Link
    $id = $Call.Id
    $unacknowledged = 0
    $failure = $null
    $start = 8 + $id.Length
    while ($Call.Open -and -not $Call.Leave) {
        $line = if ($Call.Kept -and $Call.Kept.Count) { $Call.Kept.Dequeue() } else { Receive-HostLine $link $id $Call.Queue }
        if ($null -eq $line) {
            $Call.Open = $false
            $failure = New-HostGoneRecord $link $Name
            break
        }
        $kind = $line.Substring($start, $line.IndexOf([char] '"', $start) - $start)
        if ($kind -eq 'end') {
            $Call.Open = $false
            break
        }
        $message = Read-HostJson $line
        switch ($kind) {
            'items' {
                $items = $message.items
                $type = if ($items.PSObject.Properties['type']) { $items.type }
                if (++$unacknowledged -ge 8) {
                    Send-HostLine $link "{`"acknowledge`":{`"id`":$id,`"messages`":$unacknowledged}}`n"
                    $unacknowledged = 0
                }
                $guarded = $items.PSObject.Properties['guarded']
                $secrets = $items.PSObject.Properties['secrets']
                $bytes = $items.PSObject.Properties['bytes']
                # A break downstream is meant for a loop of the script, but ends the nearest one on its way:
                # the loop of one round is there to notice.
                foreach ($value in $items.values) {
                    # One array, not its bytes one by one.
                    if ($bytes) { $value = , [Convert]::FromBase64String($value) }
                    elseif ($guarded) { $value = Restore-HostText $value }
                    if ($secrets) { Protect-HostSecret $value $secrets.Value }
                    if ($type -and $value -is [System.Management.Automation.PSCustomObject]) { $value.PSTypeNames.Insert(0, $type) }
                    $Call.Leave = 'break'
                    for ($written = 0; $written -lt 1; $written++) {
                        $Cmdlet.WriteObject($value, $null -ne $bytes)
                        $Call.Leave = ''
                    }
                    if ($Call.Leave) {
                        if ($written) { $Call.Leave = 'continue' }
                        break
                    }
                }
            }
            'input' {
                $Call.Leave = 'break'
                for ($written = 0; $written -lt 1; $written++) {
                    $Cmdlet.WriteObject($Call.Input)
                    $Call.Leave = ''
                }
                if ($Call.Leave -and $written) { $Call.Leave = 'continue' }
            }
            'error' {
                $record = New-HostErrorRecord $message.error
                if ($message.error.terminating) { $failure = $record } else { $Cmdlet.WriteError($record) }
            }
            'window' { $link.Window = $message.window }
            'warning' { $Cmdlet.WriteWarning($message.warning) }
            'verbose' { $Cmdlet.WriteVerbose($message.verbose) }
            'debug' { $Cmdlet.WriteDebug($message.debug) }
            'information' { Microsoft.PowerShell.Utility\Write-Host $message.information }
            'progress' { Write-HostProgress $Cmdlet $message.progress }
            'confirm' {
                $yes = $false
                try { $yes = $Cmdlet.ShouldProcess($message.confirm.description, $message.confirm.question, $message.confirm.caption) }
                catch [System.Management.Automation.MethodInvocationException] {
                    if ($_.Exception.InnerException -is [System.Management.Automation.PipelineStoppedException]) { throw }
                    $failure = New-HostNobodyRecord $Name $message.confirm $_.Exception.InnerException.Message
                }
                Send-HostLine $link "{`"answer`":{`"id`":$id,`"yes`":$(if ($yes) { 'true' } else { 'false' })}}`n"
            }
        }
    }
    if ($failure) {
        if ($failure.FullyQualifiedErrorId -eq 'JIM.HostEnded') { $Cmdlet.WriteError($failure) } else { $Cmdlet.ThrowTerminatingError($failure) }
    }
}

# Still open: the user stopped the command, or what follows in the pipeline has enough.
function script:Close-HostCall($Call) {
    $dropped = $null
    $null = $Call.Link.Queues.TryRemove($Call.Id, [ref] $dropped)
    if (-not $Call.Open) { $script:FreeQueues.Push($Call.Queue) }
    elseif (-not $Call.Link.Dead) { Send-HostLine $Call.Link "{`"cancel`":{`"id`":$($Call.Id)}}`n" }
}

# One call, from the bound parameters to the last message.
function script:Invoke-HostCmdlet($State, [string] $Set, $Bound) {
    $call = Start-HostCall $State $Set $Bound
    try { Receive-HostCall $State $call }
    finally { Close-HostCall $call }
    # On to the loop of the script that it is meant for.
    if ($call.Leave -eq 'break') { break }
    if ($call.Leave) { continue }
}

function script:Write-HostProgress($Cmdlet, $Progress) {
    $record = [System.Management.Automation.ProgressRecord]::new(0, $Progress.activity, $Progress.status)
    $record.PercentComplete = $Progress.percent
    $record.SecondsRemaining = $Progress.secondsRemaining
    if ($Progress.PSObject.Properties['operation']) { $record.CurrentOperation = $Progress.operation }
    if ($Progress.completed) { $record.RecordType = 'Completed' }
    $Cmdlet.WriteProgress($record)
}
