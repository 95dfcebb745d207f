# 500 run profiles changed in one pipeline, on a server that takes 20 ms to answer, against a loop of
# Invoke-RestMethod with the same requests.
. $PSScriptRoot/Common.ps1
$null = New-WorkFolder
Import-Module $Module
$sandbox = Start-Sandbox '--latency', '20', '--systems', '200'
try {
    $null = Connect-JIM -Url $sandbox.Url -ApiKey $sandbox.Key -NoPersist 6> $null
    $many = @(Get-JIMConnectedSystem | Get-JIMRunProfile | Select-Object -First 500)
    if ($many.Count -lt 500) { throw "The sandbox has $($many.Count) run profiles only." }
    $uris = foreach ($item in $many) { "$($sandbox.Url)/api/v1/synchronisation/connected-systems/$($item.ConnectedSystemId)/run-profiles/$($item.Id)" }
    $headers = $sandbox.Headers
    $few = $many | Select-Object -First 20
    $few | Set-JIMRunProfile -PageSize 900
    $medians = Compare-Block -Rounds 3 -WarmUp 0 -Blocks ([ordered] @{
            # With Stop, as the benchmarks have it, changes go one at a time.
            ours   = { $many | Set-JIMRunProfile -PageSize 1000 -ErrorAction Continue }
            theirs = { foreach ($uri in $uris) { $null = Invoke-RestMethod -Uri $uri -Method Put -Headers $headers -ContentType 'application/json' -Body '{"pageSize":1000}' } }
        })
    Write-Result '500 piped Set-JIMRunProfile, 20 ms' ($medians.ours / 1000) 's' 'a loop of Invoke-RestMethod' ($medians.theirs / 1000)
}
finally { Stop-Child $sandbox.Process }
