# The link to the host program: finds and starts it, one for all runspaces, and carries lines both ways.

# One host per process, shared by all runspaces: `$script:` would be one per runspace.
function script:Get-HostState {
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
function script:Get-HostLink {
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
function script:Find-HostProgram {
    $onWindows = [System.IO.Path]::DirectorySeparatorChar -eq '\'
    $file = if ($onWindows) { 'jimhost.exe' } else { 'jimhost' }
    if ($env:JIMHOST_PATH) {
        if ([System.IO.File]::Exists($env:JIMHOST_PATH)) { return $env:JIMHOST_PATH }
        throw "JIMHOST_PATH names '$env:JIMHOST_PATH', which is not a file."
    }
    $os = if ($onWindows) { 'win' } elseif ($IsMacOS) { 'osx' } else { 'linux' }
    $architecture = [System.Runtime.InteropServices.RuntimeInformation]::ProcessArchitecture.ToString().ToLowerInvariant()
    $shipped = [System.IO.Path]::Combine($script:ModuleRoot, 'bin', "$os-$architecture", $file)
    if ([System.IO.File]::Exists($shipped)) { return $shipped }
    $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($script:ModuleRoot, '..', '..'))
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

function script:Start-HostProcess {
    $path = Find-HostProgram
    if ([System.IO.Path]::DirectorySeparatorChar -eq '/' -and $path.StartsWith($script:ModuleRoot)) {
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

function script:Send-HostLine($Link, [string] $Line) {
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
function script:Receive-HostLine($Link, [string] $Id, $Queue, [long] $Until = [long]::MaxValue) {
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
