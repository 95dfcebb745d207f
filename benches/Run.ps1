# Runs the benchmarks that are named, or all; prints a table, and writes JSON to target/benches.json.
param([string[]] $Only = @('import', 'call', 'start', 'memory', 'pipeline', 'list'))
. $PSScriptRoot/Common.ps1
if (-not [System.IO.File]::Exists($Program)) { throw "$Program is not there: cargo build --release" }
$results = foreach ($name in $Only) {
    Write-Host "$name ..."
    # Each in a process of its own: what one loads must not make the next one faster or slower.
    $json = & $Pwsh -NoProfile -Command "& '$PSScriptRoot/$name.ps1' | ForEach-Object { ConvertTo-Json -Compress -InputObject `$_ }"
    if ($LASTEXITCODE) { throw "$name failed." }
    # A warning on the way is no result.
    $json | Where-Object { $_.StartsWith('{') } | ForEach-Object { ConvertFrom-Json $_ }
}
$results | Format-Table -Property what, ours, unit, against, theirs, ratio, aim | Out-String -Width 200 | ForEach-Object { $_.Trim() }
$processor = if ($IsLinux) { ([System.IO.File]::ReadAllLines('/proc/cpuinfo') -match '^model name' | Select-Object -First 1) -replace '.*:\s*' }
$report = [ordered] @{
    date = [datetime]::UtcNow.ToString('yyyy-MM-dd'); version = (& $Program --version) -replace '^\S+\s'; powershell = $PSVersionTable.PSVersion.ToString()
    os = [System.Runtime.InteropServices.RuntimeInformation]::OSDescription; processor = $processor; cores = [System.Environment]::ProcessorCount
    results = @($results)
}
[System.IO.File]::WriteAllText("$Root/target/benches.json", (ConvertTo-Json -InputObject $report -Depth 5))
"`nAs JSON: target/benches.json"
