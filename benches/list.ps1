# All of 10,000 connected systems, 100 a page, against a loop of Invoke-RestMethod over the same pages;
# without latency, and with 20 ms for each answer.
. $PSScriptRoot/Common.ps1
$null = New-WorkFolder
Import-Module $Module
foreach ($latency in '0', '20') {
    $sandbox = Start-Sandbox '--systems', '10000', '--latency', $latency
    try {
        $null = Connect-JIM -Url $sandbox.Url -ApiKey $sandbox.Key -NoPersist 6> $null
        $uri = "$($sandbox.Url)/api/v1/synchronisation/connected-systems"
        $headers = $sandbox.Headers
        $counts = @{}
        $medians = Compare-Block -Rounds 3 -WarmUp 0 -Blocks ([ordered] @{
                ours   = { $counts.ours = @(Get-JIMConnectedSystem -WarningAction SilentlyContinue).Count }
                theirs = {
                    $page = 0
                    $counts.theirs = @(do {
                            $page++
                            $answer = Invoke-RestMethod -Uri "$uri`?page=$page&pageSize=100" -Headers $headers
                            $answer.items
                        } while ($page -lt $answer.totalPages)).Count
                }
            })
        if ($counts.ours -ne 10000 -or $counts.theirs -ne 10000) { throw "Not all were read: $($counts.ours), $($counts.theirs)." }
        Write-Result "10,000 connected systems, $latency ms" ($medians.ours / 1000) 's' 'a loop of Invoke-RestMethod' ($medians.theirs / 1000)
    }
    finally { Stop-Child $sandbox.Process }
}
