# Peak memory of the host over 10,000 calls, reads and changes by turns: after 1,000 and at the end.
. $PSScriptRoot/Common.ps1
$null = New-WorkFolder

function Get-PeakMemory($Process) {
    if ($IsLinux) {
        $line = [System.IO.File]::ReadAllLines("/proc/$($Process.Id)/status") | Where-Object { $_.StartsWith('VmHWM:') }
        return [double] ($line -replace '\D') / 1024
    }
    $Process.Refresh()
    $Process.PeakWorkingSet64 / 1MB
}

$sandbox = Start-Sandbox
$link = Start-Child $Program 'serve'
try {
    $id = 0
    function Send-Call([string] $Cmdlet, [string] $Arguments) {
        $script:id++
        $link.StandardInput.Write("{`"call`":{`"id`":$script:id,`"cmdlet`":`"$Cmdlet`",`"arguments`":$Arguments}}`n")
        $link.StandardInput.Flush()
        do {
            $line = $link.StandardOutput.ReadLine()
            if ($line.Contains('"error"')) { throw $line }
        } until ($line.EndsWith('"end":true}'))
    }
    $link.StandardInput.Write("{`"hello`":{`"protocol`":1}}`n")
    $link.StandardInput.Flush()
    $null = $link.StandardOutput.ReadLine()
    Send-Call 'Connect-JIM' "{`"Url`":`"$($sandbox.Url)`",`"ApiKey`":`"$($sandbox.Key)`",`"NoPersist`":true}"
    $early = 0
    for ($call = 1; $call -le 10000; $call += 2) {
        Send-Call 'Get-JIMRunProfile' '{"ConnectedSystemId":1}'
        Send-Call 'Set-JIMRunProfile' '{"ConnectedSystemId":1,"RunProfileId":1,"PageSize":1000}'
        if ($call -eq 999) { $early = Get-PeakMemory $link }
    }
    Write-Result 'peak memory of the host, 10,000 calls' (Get-PeakMemory $link) 'MiB' 'after 1,000 calls' $early '<= 20 MiB, flat'
}
finally {
    Stop-Child $link
    Stop-Child $sandbox.Process
}
