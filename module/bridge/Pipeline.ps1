# Pipelines that are sent ahead: which calls may be, how many, in which order their answers are
# written, and what is said of those that a stopped pipeline left behind. docs/pipelines.md has the rule.

# Whether the calls of this cmdlet may be sent ahead: only where a script can't tell. Changes go one
# at a time when somebody is asked, when an error is to stop the pipeline, and when they have output
# that something downstream may act on (docs/pipelines.md).
function script:Enable-HostWindow($State, $Bound) {
    if (-not $State.Cmdlet.MyInvocation.ExpectingInput) { return }
    $script:Pipelines++
    $State.Head += ",`"pipeline`":`"$([runspace]::DefaultRunspace.Id)-$script:Pipelines`""
    if ($State.Impact) {
        if ($State.Ask -or "$($State.Error)" -notin 'Continue', 'SilentlyContinue', 'Ignore') { return }
        if ($Bound.ContainsKey('PassThru') -and $Bound['PassThru']) { return }
    }
    $State.Calls = [System.Collections.Generic.Queue[hashtable]]::new()
    # Width: calls in flight at most. Fast: items in a row that came faster than an answer. Left: when the last item was done with; Took: how long an answer takes.
    $State.Width = 1
    $State.Fast = 0
    $State.Left = [long] 0
    $State.Took = [long] 0
}

# One item of a pipeline. It may stay in flight while the next ones come; results are written in the
# order of the items all the same.
function script:Send-HostCmdlet($State, [string] $Set, $Bound) {
    if (-not $State.ContainsKey('Calls')) {
        Invoke-HostCmdlet $State $Set $Bound
        return
    }
    $now = [System.Diagnostics.Stopwatch]::GetTimestamp()
    # The window opens when items keep coming faster than answers; somebody who waits for the next item sees
    # the last result first.
    if ($State.Left) {
        $State.Fast = if ($now - $State.Left -lt $State.Took) { $State.Fast + 1 } else { 0 }
        $State.Width = if ($State.Fast -ge 3) { [Math]::Min($State.Width * 2, $script:Link.Window) } else { 1 }
    }
    # A new name may be one that the next item looks up.
    if ($State.Impact -and ($Bound.ContainsKey('Name') -or $Bound.ContainsKey('NewName'))) {
        Receive-HostWindow $State 1
        $State.Width = 1
    }
    $call = Start-HostCall $State $Set $Bound
    $call.Sent = $now
    if ($State.Impact -and -not $State.Calls.Count) { $script:Ahead.Add($State) }
    $State.Calls.Enqueue($call)
    Receive-HostWindow $State $State.Width
    $State.Left = [System.Diagnostics.Stopwatch]::GetTimestamp()
}

# The end of a pipeline: everything that is still in flight.
function script:Complete-HostCmdlet($State) {
    if ($State.ContainsKey('Calls')) { Receive-HostWindow $State 1 }
}

# Takes answers until fewer than $Width calls are in flight.
function script:Receive-HostWindow($State, [int] $Width) {
    $whole = $false
    $leave = ''
    try {
        while ($State.Calls.Count -ge $Width -and -not $leave) {
            $call = $State.Calls.Peek()
            Receive-HostCall $State $call
            $leave = $call.Leave
            if ($leave) { continue }
            $null = $State.Calls.Dequeue()
            Close-HostCall $call
            # With more in flight the time is not the server's alone.
            if ($State.Width -eq 1) { $State.Took = [System.Diagnostics.Stopwatch]::GetTimestamp() - $call.Sent }
        }
        $whole = -not $leave
    }
    finally {
        if (-not $whole) { Stop-HostWindow $State }
        elseif ($State.Impact -and -not $State.Calls.Count) { $null = $script:Ahead.Remove($State) }
    }
    if ($leave -eq 'break') { break }
    if ($leave) { continue }
}

# Ctrl-C, or the end of a pipeline by an error: nothing new leaves. Changes that have left are waited
# for a moment, and what became of them is said: they are nobody's to guess.
function script:Stop-HostWindow($State) {
    $calls = $State.Calls.ToArray()
    $State.Calls.Clear()
    if ($State.Impact) {
        $null = $script:Ahead.Remove($State)
        $text = Get-HostOutcome $State $calls 250
        if ($text -and $State.Cmdlet.Host) { $State.Cmdlet.Host.UI.WriteWarningLine($text) }
    }
    foreach ($call in $calls) { Close-HostCall $call }
}

# Before another call of this runspace: changes in flight come first, as they would one by one.
function script:Wait-HostChange($State) {
    foreach ($other in $script:Ahead.ToArray()) {
        if ([object]::ReferenceEquals($other, $State)) { continue }
        # The engine takes the runtime from the cmdlets of a pipeline that was cut off elsewhere.
        if ($null -ne $other.Cmdlet.CommandRuntime) {
            foreach ($call in $other.Calls) { Read-HostCall $call ([long]::MaxValue) }
            continue
        }
        $null = $script:Ahead.Remove($other)
        $calls = $other.Calls.ToArray()
        $other.Calls.Clear()
        $text = Get-HostOutcome $other $calls 10000
        foreach ($call in $calls) { Close-HostCall $call }
        if ($text) { $State.Cmdlet.WriteWarning($text) }
    }
}

# Reads a call to its end, or until $Until, and keeps the lines for when its turn comes.
function script:Read-HostCall($Call, [long] $Until) {
    if (-not $Call.Kept) { $Call.Kept = [System.Collections.Generic.Queue[string]]::new() }
    while (-not $Call.Ended) {
        $line = Receive-HostLine $Call.Link $Call.Id $Call.Queue $Until
        if (-not $line) { return }
        $Call.Kept.Enqueue($line)
        $Call.Ended = $line.EndsWith(',"end":true}')
    }
}

# What became of changes that a stopped pipeline left in flight, as one text; nothing when there were none.
function script:Get-HostOutcome($State, $Calls, [int] $Milliseconds) {
    $open = @($Calls | Microsoft.PowerShell.Core\Where-Object { $_.Open })
    if (-not $open.Count) { return }
    foreach ($call in $open) {
        if (-not $call.Link.Dead) { Send-HostLine $call.Link "{`"cancel`":{`"id`":$($call.Id),`"unsent`":true}}`n" }
    }
    $until = [System.Diagnostics.Stopwatch]::GetTimestamp() + $Milliseconds * [System.Diagnostics.Stopwatch]::Frequency / 1000
    $made = $unsent = $unknown = 0
    $failures = [System.Collections.Generic.List[string]]::new()
    foreach ($call in $open) {
        Read-HostCall $call $until
        $failed = $null
        foreach ($line in $call.Kept) {
            if ($line.StartsWith("{`"id`":$($call.Id),`"error`"")) { $failed = (Read-HostJson $line).error }
        }
        $call.Open = -not $call.Ended
        if ($failed -and $failed.code -eq 'JIM.NotSent') { $unsent++ }
        elseif ($failed) { $failures.Add($failed.message) }
        elseif ($call.Ended) { $made++ }
        else { $unknown++ }
    }
    if ($made + $failures.Count + $unknown -eq 0) { return }
    $parts = [System.Collections.Generic.List[string]]::new()
    if ($made) { $parts.Add("$made made") }
    if ($failures.Count) { $parts.Add("$($failures.Count) failed") }
    if ($unsent) { $parts.Add("$unsent not sent") }
    if ($unknown) { $parts.Add("$unknown without an answer yet: look before you repeat them") }
    $text = "$($State.Name) was stopped with changes on their way: $($parts -join ', ')."
    foreach ($failure in $failures) { $text += "`n$failure" }
    $text
}
