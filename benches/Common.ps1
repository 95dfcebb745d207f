# What the benchmarks share: the program, a sandbox, stopwatches, and how a result is written.
# Every benchmark compares two things in one run, by turns, so that a busy machine meets both.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$Root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..'))
$Program = if ($env:JIMHOST_PATH) { $env:JIMHOST_PATH } else { [System.IO.Path]::Combine($Root, 'target', 'release', $(if ($IsWindows) { 'jimhost.exe' } else { 'jimhost' })) }
$env:JIMHOST_PATH = $Program
$Module = if ($env:JIMHOST_MODULE) { $env:JIMHOST_MODULE } else { [System.IO.Path]::Combine($Root, 'module', 'JimHost', 'JimHost.psd1') }
$Pwsh = if ($env:JIMHOST_PWSH) { $env:JIMHOST_PWSH } else { (Get-Command pwsh -CommandType Application | Select-Object -First 1).Source }

# A fresh folder for what a benchmark writes; nothing of the user's is read or changed.
function New-WorkFolder {
    $folder = [System.IO.Path]::Combine([System.IO.Path]::GetTempPath(), "jimhost-bench-$PID-$([guid]::NewGuid().ToString('N').Substring(0, 8))")
    $null = [System.IO.Directory]::CreateDirectory($folder)
    $env:JIMHOST_CONFIG_DIR = $folder
    $folder
}

# A child process with its pipes.
function Start-Child([string] $Path, [string[]] $Arguments) {
    $info = [System.Diagnostics.ProcessStartInfo]::new($Path)
    foreach ($argument in $Arguments) { $info.ArgumentList.Add($argument) }
    $info.UseShellExecute = $false
    $info.RedirectStandardInput = $true
    $info.RedirectStandardOutput = $true
    $info.StandardInputEncoding = [System.Text.UTF8Encoding]::new($false)
    [System.Diagnostics.Process]::Start($info)
}

# `jimhost sandbox` on a free port.
function Start-Sandbox([string[]] $Options = @()) {
    $process = Start-Child $Program (@('sandbox', '--listen', '127.0.0.1:0') + $Options)
    $line = $process.StandardOutput.ReadLine()
    if ($line -notmatch 'at (http://\S+) \(API key (\S+)\)') { throw "The sandbox said: $line" }
    [pscustomobject] @{ Process = $process; Url = $Matches[1]; Key = $Matches[2]; Headers = @{ 'X-API-Key' = $Matches[2] } }
}

function Stop-Child($Process) {
    if (-not $Process.HasExited) { $Process.Kill() }
    $Process.WaitForExit()
}

# Milliseconds a block takes.
function Measure-Block([scriptblock] $Block) {
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $null = . $Block
    $watch.Elapsed.TotalMilliseconds
}

function Get-Median([double[]] $Values) {
    $sorted = [double[]] $Values.Clone()
    [Array]::Sort($sorted)
    $middle = [Math]::Floor($sorted.Length / 2)
    if ($sorted.Length % 2) { $sorted[$middle] } else { ($sorted[$middle - 1] + $sorted[$middle]) / 2 }
}

# Medians of blocks that take turns; the first rounds warm up and don't count.
function Compare-Block([System.Collections.Specialized.OrderedDictionary] $Blocks, [int] $Rounds, [int] $WarmUp = 2) {
    $times = [ordered] @{}
    foreach ($name in $Blocks.Keys) { $times[$name] = [System.Collections.Generic.List[double]]::new() }
    for ($round = -$WarmUp; $round -lt $Rounds; $round++) {
        foreach ($name in $Blocks.Keys) {
            $took = Measure-Block $Blocks[$name]
            if ($round -ge 0) { $times[$name].Add($took) }
        }
    }
    $medians = [ordered] @{}
    foreach ($name in $times.Keys) { $medians[$name] = Get-Median $times[$name].ToArray() }
    $medians
}

# One row of the table, and of the JSON.
function Write-Result([string] $What, [double] $Ours, [string] $Unit, [string] $Against = '', [double] $Theirs = 0, [string] $Aim = '') {
    $ratio = if ($Theirs) { [Math]::Round($Ours / $Theirs, 2) }
    $digits = if ($Ours -ge 100) { 0 } elseif ($Ours -ge 10) { 1 } else { 2 }
    [pscustomobject] @{
        what = $What; ours = [Math]::Round($Ours, $digits); unit = $Unit; against = $Against
        theirs = $(if ($Theirs) { [Math]::Round($Theirs, $digits) }); ratio = $ratio; aim = $Aim
    }
}
