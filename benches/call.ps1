# One piped Set-JIMRunProfile on a loopback server without latency, against one Invoke-RestMethod
# that sends the same request.
. $PSScriptRoot/Common.ps1
$null = New-WorkFolder
Import-Module $Module
$sandbox = Start-Sandbox
try {
    $null = Connect-JIM -Url $sandbox.Url -ApiKey $sandbox.Key -NoPersist
    $profile1 = Get-JIMRunProfile -ConnectedSystemId 1 | Where-Object { $_.name -eq 'Full Import' }
    $uri = "$($sandbox.Url)/api/v1/synchronisation/connected-systems/1/run-profiles/$($profile1.Id)"
    $headers = $sandbox.Headers
    $calls = 200
    $medians = Compare-Block -Rounds 15 -WarmUp 3 -Blocks ([ordered] @{
            ours   = { for ($n = 0; $n -lt $calls; $n++) { $profile1 | Set-JIMRunProfile -PageSize 1000 } }
            theirs = { for ($n = 0; $n -lt $calls; $n++) { $null = Invoke-RestMethod -Uri $uri -Method Put -Headers $headers -ContentType 'application/json' -Body '{"pageSize":1000}' } }
        })
    Write-Result 'one piped Set-JIMRunProfile, no latency' ($medians.ours / $calls) 'ms' 'one Invoke-RestMethod' ($medians.theirs / $calls) '<= 0.5'
}
finally { Stop-Child $sandbox.Process }
