# 200,000 connected systems through a pipeline that keeps none: memory of the host, and of PowerShell
# after a tenth of them and after all.
. $PSScriptRoot/Common.ps1
$null = New-WorkFolder
Import-Module $Module
$sandbox = Start-Sandbox '--systems', '200000'
try {
    $null = Connect-JIM -Url $sandbox.Url -ApiKey $sandbox.Key -NoPersist 6> $null
    $seen = 0
    $early = 0
    Get-JIMConnectedSystem -WarningAction SilentlyContinue | ForEach-Object {
        $seen++
        if ($seen -eq 20000) { [GC]::Collect(); $early = [Environment]::WorkingSet / 1MB }
    }
    if ($seen -ne 200000) { throw "$seen of 200000 were read." }
    [GC]::Collect()
    $late = [Environment]::WorkingSet / 1MB
    $hosts = @(Get-ChildItem -Path /proc -Directory | Where-Object { $_.Name -match '^\d+$' } | ForEach-Object { "$($_.FullName)/status" } | Where-Object { [System.IO.File]::Exists($_) } |
            Where-Object { [System.IO.File]::ReadAllText($_) -match "PPid:\s+$PID\b" -and [System.IO.File]::ReadAllText($_) -match 'Name:\s+jimhost' -and $_ -notmatch "/$($sandbox.Process.Id)/" })
    $peak = [double] (([System.IO.File]::ReadAllLines($hosts[0]) | Where-Object { $_.StartsWith('VmHWM:') }) -replace '\D') / 1024
    Write-Result 'peak memory of the host, 200,000 objects' $peak 'MiB' '' 0 '<= 40 MiB'
    Write-Result 'memory of PowerShell after 200,000 objects' $late 'MiB' 'after 20,000' $early 'not growing'
}
finally { Stop-Child $sandbox.Process }
