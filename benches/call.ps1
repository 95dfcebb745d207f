# One Set-JIMRunProfile on a loopback server without latency, against one Invoke-RestMethod that sends
# the same request: as a pipeline of its own, and as one item of a pipeline of 200.
. $PSScriptRoot/Common.ps1
$null = New-WorkFolder
Import-Module $Module
$sandbox = Start-Sandbox '--systems', '80'
try {
    $null = Connect-JIM -Url $sandbox.Url -ApiKey $sandbox.Key -NoPersist 6> $null
    $calls = 200
    $many = @(Get-JIMConnectedSystem | Get-JIMRunProfile | Select-Object -First $calls)
    if ($many.Count -lt $calls) { throw "The sandbox has $($many.Count) run profiles only." }
    $uris = foreach ($item in $many) { "$($sandbox.Url)/api/v1/synchronisation/connected-systems/$($item.ConnectedSystemId)/run-profiles/$($item.Id)" }
    $headers = $sandbox.Headers
    $medians = Compare-Block -Rounds 15 -WarmUp 4 -Blocks ([ordered] @{
            single = { foreach ($item in $many) { $item | Set-JIMRunProfile -PageSize 1000 -ErrorAction Continue } }
            theirs = { foreach ($uri in $uris) { $null = Invoke-RestMethod -Uri $uri -Method Put -Headers $headers -ContentType 'application/json' -Body '{"pageSize":1000}' } }
            piped  = { $many | Set-JIMRunProfile -PageSize 1000 -ErrorAction Continue }
        })
    Write-Result 'Set-JIMRunProfile, an item of a long pipeline, 0 ms' ($medians.piped / $calls) 'ms' 'one Invoke-RestMethod' ($medians.theirs / $calls) '<= 0.5'
    Write-Result 'Set-JIMRunProfile, one object piped, 0 ms' ($medians.single / $calls) 'ms' 'one Invoke-RestMethod' ($medians.theirs / $calls) '<= 0.5'
}
finally { Stop-Child $sandbox.Process }
