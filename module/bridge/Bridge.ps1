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

# One host per process, shared by all runspaces: `$script:` would be one per runspace.
function Get-HostState {
    $domain = [AppDomain]::CurrentDomain
    $state = $domain.GetData('JimHost')
    if ($null -ne $state) { return $state }
    [System.Threading.Monitor]::Enter($domain)
    try {
        $state = $domain.GetData('JimHost')
        if ($null -eq $state) {
            $state = [hashtable]::Synchronized(@{ Link = $null; Start = [object]::new() })
            $domain.SetData('JimHost', $state)
        }
    }
    finally { [System.Threading.Monitor]::Exit($domain) }
    $state
}

# The link to a running host; starts one at the first call, and after a host has died.
function Get-HostLink {
    $state = Get-HostState
    $link = $state.Link
    if ($null -ne $link -and -not $link.Dead) { return $link }
    [System.Threading.Monitor]::Enter($state.Start)
    try {
        $link = $state.Link
        if ($null -eq $link -or $link.Dead) {
            $link = Start-HostProcess
            $state.Link = $link
        }
    }
    finally { [System.Threading.Monitor]::Exit($state.Start) }
    $link
}

# Where the host program is: JIMHOST_PATH, the module's folder, the newest build of a source checkout, PATH.
function Find-HostProgram {
    $onWindows = [System.IO.Path]::DirectorySeparatorChar -eq '\'
    $file = if ($onWindows) { 'jimhost.exe' } else { 'jimhost' }
    if ($env:JIMHOST_PATH) {
        if ([System.IO.File]::Exists($env:JIMHOST_PATH)) { return $env:JIMHOST_PATH }
        throw "JIMHOST_PATH names '$env:JIMHOST_PATH', which is not a file."
    }
    $os = if ($onWindows) { 'win' } elseif ($IsMacOS) { 'osx' } else { 'linux' }
    $architecture = [System.Runtime.InteropServices.RuntimeInformation]::ProcessArchitecture.ToString().ToLowerInvariant()
    $shipped = [System.IO.Path]::Combine($PSScriptRoot, 'bin', "$os-$architecture", $file)
    if ([System.IO.File]::Exists($shipped)) { return $shipped }
    $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
    if ([System.IO.File]::Exists([System.IO.Path]::Combine($root, 'Cargo.toml'))) {
        $newest = $null
        foreach ($build in 'release', 'debug') {
            $candidate = [System.IO.FileInfo]::new([System.IO.Path]::Combine($root, 'target', $build, $file))
            if ($candidate.Exists -and ($null -eq $newest -or $candidate.LastWriteTimeUtc -gt $newest.LastWriteTimeUtc)) { $newest = $candidate }
        }
        if ($newest) { return $newest.FullName }
    }
    $found = Get-Command -Name $file -CommandType Application -ErrorAction Ignore | Select-Object -First 1
    if ($found) { return $found.Source }
    throw "The jimhost program was not found. Build it (cargo build --release), put it on PATH, or set JIMHOST_PATH to it."
}

function Start-HostProcess {
    $path = Find-HostProgram
    if ([System.IO.Path]::DirectorySeparatorChar -eq '/' -and $path.StartsWith($PSScriptRoot)) {
        # Packages lose the executable bit.
        $null = & chmod u+x $path 2>&1
    }
    $utf8 = [System.Text.UTF8Encoding]::new($false)
    $info = [System.Diagnostics.ProcessStartInfo]::new($path)
    $info.ArgumentList.Add('serve')
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $info.RedirectStandardInput = $true
    $info.RedirectStandardOutput = $true
    $info.StandardInputEncoding = $utf8
    $info.StandardOutputEncoding = $utf8
    # A secret travels in the call that needs it, not in an environment that lasts.
    foreach ($name in 'JIM_API_KEY', 'NDM_PASSWORD', 'NDM_CLIENT_SECRET') { $null = $info.Environment.Remove($name) }
    $process = [System.Diagnostics.Process]::Start($info)
    $link = [hashtable]::Synchronized(@{
            Path = $path; Process = $process; Reader = $process.StandardOutput; Writer = $process.StandardInput
            Turn = [System.Threading.SemaphoreSlim]::new(1, 1); Write = [object]::new(); ReadTask = $null; NextId = [long] 0; Dead = $false
            Queues = [System.Collections.Concurrent.ConcurrentDictionary[string, System.Collections.Concurrent.BlockingCollection[string]]]::new()
            # Calls that a pipeline may have in flight; the host says so with a connection.
            Window = 8
        })
    $link.Writer.Write("{`"hello`":{`"protocol`":$script:HostProtocol,`"client`":`"JimHost $script:ModuleVersion`"}}`n")
    $link.Writer.Flush()
    $greeting = $link.Reader.ReadLineAsync()
    if (-not $greeting.Wait(15000) -or $null -eq $greeting.Result) {
        if (-not $process.HasExited) { $process.Kill() }
        throw "The host $path did not answer as a host. Run '$path doctor' to see why."
    }
    $link.ReadTask = $link.Reader.ReadLineAsync()
    $hello = (Read-HostJson $greeting.Result).hello
    if ($hello.protocol -ne $script:HostProtocol) {
        $process.Kill()
        throw "The host $path (version $($hello.version)) speaks protocol $($hello.protocol), this module (version $script:ModuleVersion) protocol $script:HostProtocol. Update the older one."
    }
    $link
}

# ConvertFrom-Json without the cost of a command call: the cmdlet's own class, used as an object.
function Read-HostJson([string] $Line) {
    if ($null -eq $script:JsonReader) {
        $script:JsonReader = (Get-Command -Name 'Microsoft.PowerShell.Utility\ConvertFrom-Json' -CommandType Cmdlet).ImplementingType
    }
    $reader = $script:JsonReader::new()
    $reader.InputObject = $Line
    foreach ($value in $reader.Invoke()) { return $value }
}

# Texts that merely look like dates come with a mark before them, or PowerShell would turn them into dates.
function Restore-HostText($Value) {
    if ($Value -is [string]) {
        if ($Value.Length -and $Value[0] -eq [char] 0xE000) { return $Value.Substring(1) }
    }
    elseif ($Value -is [object[]]) {
        for ($index = 0; $index -lt $Value.Length; $index++) { $Value[$index] = Restore-HostText $Value[$index] }
        return , $Value
    }
    elseif ($Value -is [System.Management.Automation.PSCustomObject]) {
        foreach ($property in $Value.PSObject.Properties) {
            if ($property.Value -is [string] -or $property.Value -is [object[]] -or $property.Value -is [System.Management.Automation.PSCustomObject]) {
                $property.Value = Restore-HostText $property.Value
            }
        }
    }
    return $Value
}

# Passwords become SecureStrings before the object goes anywhere.
function Protect-HostSecret($Value, $Names) {
    foreach ($name in $Names) {
        $property = $Value.PSObject.Properties[$name]
        if ($null -eq $property -or $property.Value -isnot [string]) { continue }
        $secret = [securestring]::new()
        foreach ($character in $property.Value.ToCharArray()) { $secret.AppendChar($character) }
        $secret.MakeReadOnly()
        $property.Value = $secret
    }
}

# A value as JSON. Dates travel in UTC, secrets in the clear: only ever over the pipe to the host.
function ConvertTo-HostJson($Value, [int] $Depth = 0) {
    if ($null -eq $Value) { return 'null' }
    if ($Value -is [psobject] -and $Value.PSObject.BaseObject -isnot [System.Management.Automation.PSCustomObject]) { $Value = $Value.PSObject.BaseObject }
    if ($Value -is [string] -or $Value -is [char]) { return [System.Web.HttpUtility]::JavaScriptStringEncode([string] $Value, $true) }
    if ($Value -is [bool] -or $Value -is [switch]) { if ($Value) { return 'true' } else { return 'false' } }
    if ($Value -is [int] -or $Value -is [long] -or $Value -is [byte] -or $Value -is [int16] -or $Value -is [uint32] -or $Value -is [uint64] -or
        $Value -is [uint16] -or $Value -is [sbyte] -or $Value -is [decimal] -or $Value -is [System.Numerics.BigInteger]) {
        return $Value.ToString([cultureinfo]::InvariantCulture)
    }
    if ($Value -is [double] -or $Value -is [single]) { return $Value.ToString('R', [cultureinfo]::InvariantCulture) }
    if ($Value -is [datetime]) { return '"' + $Value.ToUniversalTime().ToString('o', [cultureinfo]::InvariantCulture) + '"' }
    if ($Value -is [datetimeoffset]) { return '"' + $Value.UtcDateTime.ToString('o', [cultureinfo]::InvariantCulture) + '"' }
    if ($Value -is [timespan]) { return '"' + $Value.ToString('c', [cultureinfo]::InvariantCulture) + '"' }
    if ($Value -is [securestring]) { return [System.Web.HttpUtility]::JavaScriptStringEncode([System.Net.NetworkCredential]::new('', $Value).Password, $true) }
    if ($Value -is [pscredential]) {
        return '{"userName":' + (ConvertTo-HostJson $Value.UserName) + ',"password":' + (ConvertTo-HostJson $Value.Password) + '}'
    }
    if ($Value -is [byte[]]) { return '"' + [Convert]::ToBase64String($Value) + '"' }
    if ($Value -is [ValueType]) { return [System.Web.HttpUtility]::JavaScriptStringEncode($Value.ToString(), $true) }
    if ($Depth -ge 32) { throw 'A value is nested more than 32 levels deep.' }
    $parts = [System.Collections.Generic.List[string]]::new()
    if ($Value -is [System.Collections.IDictionary]) {
        foreach ($entry in $Value.GetEnumerator()) {
            $parts.Add([System.Web.HttpUtility]::JavaScriptStringEncode([string] $entry.Key, $true) + ':' + (ConvertTo-HostJson $entry.Value ($Depth + 1)))
        }
        return '{' + ($parts -join ',') + '}'
    }
    if ($Value -is [System.Collections.IEnumerable]) {
        foreach ($item in $Value) { $parts.Add((ConvertTo-HostJson $item ($Depth + 1))) }
        return '[' + ($parts -join ',') + ']'
    }
    foreach ($property in $Value.PSObject.Properties) {
        $parts.Add([System.Web.HttpUtility]::JavaScriptStringEncode($property.Name, $true) + ':' + (ConvertTo-HostJson $property.Value ($Depth + 1)))
    }
    '{' + ($parts -join ',') + '}'
}

# What the host needs of a piped object: some properties, not all of it.
function ConvertTo-HostInput($Value, $Take) {
    $isMap = $Value -is [System.Collections.IDictionary]
    # Read once: each access to .PSObject.Properties builds the collection again. No if-expression: it would enumerate.
    $members = $Value
    if (-not $isMap) { $members = $Value.PSObject.Properties }
    $json = ''
    foreach ($name in $Take) {
        $found = $members[$name]
        if ($null -eq $found) { continue }
        if (-not $isMap) { $found = $found.Value }
        if ($null -eq $found) { continue }
        $text = if ($found -is [long] -or $found -is [int]) { "$found" } else { ConvertTo-HostJson $found }
        $json = if ($json) { "$json,`"$name`":$text" } else { "`"$name`":$text" }
    }
    "{$json}"
}

function Send-HostLine($Link, [string] $Line) {
    [System.Threading.Monitor]::Enter($Link.Write)
    try {
        $Link.Writer.Write($Line)
        $Link.Writer.Flush()
    }
    catch [System.IO.IOException], [System.ObjectDisposedException] {
        $Link.Dead = $true
    }
    finally { [System.Threading.Monitor]::Exit($Link.Write) }
}

# The next line of a call; null when the host is gone, '' when $Until (a Stopwatch time stamp) comes
# first. Whoever has the turn reads for all runspaces and hands lines to the queue they belong to.
# Short waits keep Ctrl-C immediate.
function Receive-HostLine($Link, [string] $Id, $Queue, [long] $Until = [long]::MaxValue) {
    $line = $null
    while ($true) {
        if ($Queue.TryTake([ref] $line)) { return $line }
        if (-not $Link.Turn.Wait(0)) {
            if ($Queue.TryTake([ref] $line, 5)) { return $line }
            if ([System.Diagnostics.Stopwatch]::GetTimestamp() -gt $Until) { return '' }
            continue
        }
        try {
            if ($Queue.TryTake([ref] $line)) { return $line }
            if ($Link.Dead) { return $null }
            $read = $Link.ReadTask
            # A wait ends here when the user stops the command; the read goes on for whoever comes next.
            while (-not $read.Wait(50)) {
                if ([System.Diagnostics.Stopwatch]::GetTimestamp() -gt $Until) { return '' }
            }
            $line = $read.Result
            if ($null -eq $line) {
                $Link.Dead = $true
                return $null
            }
            # The next read waits already when the next answer comes: that saves a thread's wake-up per call.
            $Link.ReadTask = $Link.Reader.ReadLineAsync()
            $owner = $line.Substring(6, $line.IndexOf([char] ',') - 6)
            if ($owner -eq $Id) { return $line }
            $other = $null
            # No queue: the call was cancelled, and nobody waits for what was on its way.
            if ($Link.Queues.TryGetValue($owner, [ref] $other)) { $other.Add($line) }
        }
        catch [System.AggregateException] {
            $Link.Dead = $true
            return $null
        }
        finally { $null = $Link.Turn.Release() }
    }
}

# None of PowerShell's own exceptions: those bring an error record that would stand in for ours in a catch.
$script:ExceptionTypes = @{
    ObjectNotFound      = [System.Collections.Generic.KeyNotFoundException]
    AuthenticationError = [UnauthorizedAccessException]
    PermissionDenied    = [UnauthorizedAccessException]
    OperationTimeout    = [TimeoutException]
    InvalidArgument     = [ArgumentException]
    ConnectionError     = [System.Net.Http.HttpRequestException]
}

function New-HostErrorRecord($Report) {
    $type = $script:ExceptionTypes[[string] $Report.category]
    if ($null -eq $type) { $type = [InvalidOperationException] }
    $exception = $type::new([string] $Report.message)
    foreach ($name in 'status', 'serverMessage', 'validation', 'requestId', 'retryable', 'retryAfter') {
        $property = $Report.PSObject.Properties[$name]
        if ($property) { $exception.Data[[char]::ToUpperInvariant($name[0]) + $name.Substring(1)] = $property.Value }
    }
    $target = $Report.PSObject.Properties['target']
    $record = [System.Management.Automation.ErrorRecord]::new($exception, [string] $Report.code,
        [System.Management.Automation.ErrorCategory] [string] $Report.category, $(if ($target) { $target.Value }))
    $advice = $Report.PSObject.Properties['recommendation']
    if ($advice) {
        # The error view shows the recommendation below the message.
        $record.ErrorDetails = [System.Management.Automation.ErrorDetails]::new([string] $Report.message)
        $record.ErrorDetails.RecommendedAction = $advice.Value
    }
    $record
}

function New-HostGoneRecord($Link, [string] $Name) {
    $process = $Link.Process
    $null = $process.WaitForExit(500)
    $how = if ($process.HasExited) { "exit code $($process.ExitCode)" } else { 'it closed its output' }
    New-HostErrorRecord ([pscustomobject] @{
            code = 'JIM.HostEnded'; category = 'ResourceUnavailable'; retryable = $false; target = $Name
            message = "The jimhost process ended while $Name was running ($how); what it was doing may or may not have happened."
            recommendation = 'The next cmdlet starts a new one. Run Connect-JIM again, and look before you repeat a change.'
        })
}

# What holds for all items of one cmdlet in a pipeline: whose preferences count, and what the host
# must know of them. $Impact is 0 for cmdlets that change nothing, else 1 to 3 as in ConfirmImpact;
# $Take names the properties of an input object that the host needs; $Environment the variables it
# may see; $Files the parameters that name files of this machine.
function Enter-HostCmdlet {
    param([string] $Name, $Cmdlet, $Bound, [int] $Impact, [string[]] $Take, [string[]] $Environment, [string[]] $Files)

    # A module's functions don't see the preferences of the script that calls them; a cmdlet does.
    $caller = $Cmdlet.SessionState.PSVariable
    $state = @{
        Name = $Name; Cmdlet = $Cmdlet; Take = $Take; Files = $Files; Ask = $false; Impact = $Impact
        # Bound ones are in the function's scope already, which ours is inside of.
        Error = $(if ($Bound.ContainsKey('ErrorAction')) { $ErrorActionPreference } else { $caller.GetValue('ErrorActionPreference') })
        Warning = $(if ($Bound.ContainsKey('WarningAction')) { $WarningPreference } else { $caller.GetValue('WarningPreference') })
        Verbose = $(if ($Bound.ContainsKey('Verbose')) { $VerbosePreference } else { $caller.GetValue('VerbosePreference') })
        Debug = $(if ($Bound.ContainsKey('Debug')) { $DebugPreference } else { $caller.GetValue('DebugPreference') })
        Information = $(if ($Bound.ContainsKey('InformationAction')) { $InformationPreference } else { $caller.GetValue('InformationPreference') })
        Progress = $(if ($Bound.ContainsKey('ProgressAction')) { $ProgressPreference } else { $caller.GetValue('ProgressPreference') })
        WhatIf = $(if ($Bound.ContainsKey('WhatIf')) { $WhatIfPreference } else { $caller.GetValue('WhatIfPreference') })
        Confirm = $(if ($Bound.ContainsKey('Confirm')) { $ConfirmPreference } else { $caller.GetValue('ConfirmPreference') })
    }
    # -Force answers the question, it doesn't switch -WhatIf off.
    if ($Impact -and -not $Bound.ContainsKey('Confirm') -and $Bound.ContainsKey('Force') -and $Bound['Force']) { $state.Confirm = 'None' }
    $quiet = 'SilentlyContinue', 'Ignore'
    $preferences = [System.Collections.Generic.List[string]]::new()
    if ("$($state.Verbose)" -notin $quiet) { $preferences.Add('"verbose":true') }
    if ("$($state.Debug)" -notin $quiet) { $preferences.Add('"debug":true') }
    if ("$($state.Progress)" -notin $quiet) { $preferences.Add('"progress":true') }
    if ($Impact) {
        $threshold = [int] [System.Management.Automation.ConfirmImpact] $state.Confirm
        # Verbose too: ShouldProcess says there what it is about to do.
        $state.Ask = $state.WhatIf -or ($threshold -gt 0 -and $Impact -ge $threshold) -or "$($state.Verbose)" -notin $quiet
        if ($state.Ask) { $preferences.Add('"ask":true') }
        if ($state.WhatIf) { $preferences.Add('"whatIf":true') }
    }
    $head = ",`"cmdlet`":`"$Name`",`"preferences`":{$($preferences -join ',')}"
    if ($Environment) {
        $values = foreach ($variable in $Environment) {
            $text = [System.Environment]::GetEnvironmentVariable($variable)
            if ($text) { "`"$variable`":" + (ConvertTo-HostJson $text) }
        }
        $head += ",`"environment`":{$($values -join ',')}"
    }
    $state.Head = $head
    $state
}

# Whether the calls of this cmdlet may be sent ahead: only where a script can't tell. Changes go one
# at a time when somebody is asked, when an error is to stop the pipeline, and when they have output
# that something downstream may act on (docs/pipelines.md).
function Enable-HostWindow($State, $Bound) {
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

# The bound parameters as JSON members. The commonest types without a further call: it counts, per item.
function ConvertTo-HostArguments($Bound, $State) {
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
function Start-HostCall($State, [string] $Set, $Bound) {
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
    # Kept: lines that were read before their turn came. Leave: the statement with which something
    # downstream left the pipeline.
    @{ Id = $id; Link = $link; Queue = $queue; Open = $true; Kept = $null; Leave = ''; Sent = [long] 0; Input = $(if ($Bound.ContainsKey('InputObject')) { $Bound['InputObject'] }) }
}

# Writes what a call answers, to its last message.
function Receive-HostCall($State, $Call) {
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
                $question = $message.confirm
                try { $yes = $Cmdlet.ShouldProcess($question.description, $question.question, $question.caption) }
                catch [System.Management.Automation.MethodInvocationException] {
                    if ($_.Exception.InnerException -is [System.Management.Automation.PipelineStoppedException]) { throw }
                    $yes = $false
                    $failure = New-HostErrorRecord ([pscustomobject] @{
                            code = 'JIM.CannotAsk'; category = 'InvalidOperation'; retryable = $false; target = $Name
                            message = "$Name needs an answer, and nobody can be asked here: $($_.Exception.InnerException.Message) $($question.question)"
                            recommendation = 'Give -Confirm:$false (or -Force, where there is one) to go on without asking.'
                        })
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
function Close-HostCall($Call) {
    $dropped = $null
    $null = $Call.Link.Queues.TryRemove($Call.Id, [ref] $dropped)
    if (-not $Call.Open) { $script:FreeQueues.Push($Call.Queue) }
    elseif (-not $Call.Link.Dead) { Send-HostLine $Call.Link "{`"cancel`":{`"id`":$($Call.Id)}}`n" }
}

# One call, from the bound parameters to the last message.
function Invoke-HostCmdlet($State, [string] $Set, $Bound) {
    $call = Start-HostCall $State $Set $Bound
    try { Receive-HostCall $State $call }
    finally { Close-HostCall $call }
    # On to the loop of the script that it is meant for.
    if ($call.Leave -eq 'break') { break }
    if ($call.Leave) { continue }
}

# One item of a pipeline. It may stay in flight while the next ones come; results are written in the
# order of the items all the same.
function Send-HostCmdlet($State, [string] $Set, $Bound) {
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
function Complete-HostCmdlet($State) {
    if ($State.ContainsKey('Calls')) { Receive-HostWindow $State 1 }
}

# Takes answers until fewer than $Width calls are in flight.
function Receive-HostWindow($State, [int] $Width) {
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
function Stop-HostWindow($State) {
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
function Wait-HostChange($State) {
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

# Reads a call to its end and keeps the lines for when its turn comes. False when $Until came first.
function Read-HostCall($Call, [long] $Until) {
    if (-not $Call.Kept) { $Call.Kept = [System.Collections.Generic.Queue[string]]::new() }
    elseif ($Call.Kept.Count -and $Call.Kept.ToArray()[-1].EndsWith(',"end":true}')) { return }
    while ($true) {
        $line = Receive-HostLine $Call.Link $Call.Id $Call.Queue $Until
        if (-not $line) { return }
        $Call.Kept.Enqueue($line)
        if ($line.EndsWith(',"end":true}')) { return }
    }
}

# What became of changes that a stopped pipeline left in flight, as one text; nothing when there were none.
function Get-HostOutcome($State, $Calls, [int] $Milliseconds) {
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
        $ended = $false
        $failed = $null
        foreach ($line in $call.Kept) {
            if ($line.EndsWith(',"end":true}')) { $ended = $true }
            elseif ($line.StartsWith("{`"id`":$($call.Id),`"error`"")) { $failed = (Read-HostJson $line).error }
        }
        $call.Open = -not $ended
        if ($failed -and $failed.code -eq 'JIM.NotSent') { $unsent++ }
        elseif ($failed) { $failures.Add($failed.message) }
        elseif ($ended) { $made++ }
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

function Write-HostProgress($Cmdlet, $Progress) {
    $record = [System.Management.Automation.ProgressRecord]::new(0, $Progress.activity, $Progress.status)
    $record.PercentComplete = $Progress.percent
    $record.SecondsRemaining = $Progress.secondsRemaining
    if ($Progress.PSObject.Properties['operation']) { $record.CurrentOperation = $Progress.operation }
    if ($Progress.completed) { $record.RecordType = 'Completed' }
    $Cmdlet.WriteProgress($record)
}

# Tab completion: names and ids the server knows. Never an error, never a long wait, silent when
# there is no connection.
function Complete-HostValue([string] $Source, [string] $Word, [System.Collections.IDictionary] $Bound) {
    $link = (Get-HostState).Link
    if ($null -eq $link -or $link.Dead) { return }
    try {
        $known = foreach ($name in 'ConnectedSystemId', 'ConnectedSystemName') {
            if ($Bound -and $Bound.Contains($name)) { "`"$name`":" + (ConvertTo-HostJson $Bound[$name]) }
        }
        $queue = [System.Collections.Concurrent.BlockingCollection[string]]::new()
        [System.Threading.Monitor]::Enter($link.Write)
        try {
            $link.NextId++
            $id = [string] $link.NextId
            $null = $link.Queues.TryAdd($id, $queue)
        }
        finally { [System.Threading.Monitor]::Exit($link.Write) }
        Send-HostLine $link "{`"complete`":{`"id`":$id,`"source`":`"$Source`",`"word`":$(ConvertTo-HostJson $Word.Trim('''"'.ToCharArray())),`"arguments`":{$($known -join ',')}}}`n"
        while ($true) {
            $line = Receive-HostLine $link $id $queue
            if ($null -eq $line -or $line.EndsWith(',"end":true}')) { return }
            $message = Read-HostJson $line
            if (-not $message.PSObject.Properties['items']) { continue }
            foreach ($value in $message.items.values) {
                $text = [string] $value.Text
                if ($text -notmatch '^[\w.-]+$') { $text = "'" + $text.Replace("'", "''") + "'" }
                [System.Management.Automation.CompletionResult]::new($text, $value.Label, 'ParameterValue', $value.Label)
            }
        }
    }
    catch { return }
    finally {
        $dropped = $null
        $null = $link.Queues.TryRemove($id, [ref] $dropped)
    }
}
