# The demo of `jimhost demo`: shows each command, runs it, shows what came of it.
$ErrorActionPreference = 'Stop'
$Url = $env:JIMHOST_DEMO_URL
$ApiKey = ConvertTo-SecureString -String $env:JIMHOST_DEMO_KEY -AsPlainText -Force

function Show-Step([string] $What, [string] $Code) {
    Write-Host ''
    Write-Host "# $What" -ForegroundColor Green
    Write-Host "PS> $Code" -ForegroundColor Cyan
    . ([scriptblock]::Create($Code)) | Out-String -Stream | Where-Object { $_.Trim() } | ForEach-Object { Write-Host $_ }
}

Import-Module $env:JIMHOST_DEMO_MODULE
Show-Step 'Connect: the key is proven, and kept in the keyring if this machine has one' 'Connect-JIM -Url $Url -ApiKey $ApiKey'
Show-Step 'What is there' 'Get-JIMConnectedSystem'
Show-Step 'Before: the run profiles of system 1' 'Get-JIMRunProfile -ConnectedSystemId 1'
Show-Step 'What would change' "Get-JIMRunProfile -ConnectedSystemId 1 | Where-Object { `$_.name -eq 'Full Import' } | Set-JIMRunProfile -PageSize 1000 -WhatIf"
Show-Step 'Change it' "Get-JIMRunProfile -ConnectedSystemId 1 | Where-Object { `$_.name -eq 'Full Import' } | Set-JIMRunProfile -PageSize 1000"
Show-Step 'After' 'Get-JIMRunProfile -ConnectedSystemId 1'
Show-Step 'Run it, and wait for the end' "Start-JIMRunProfile -ConnectedSystemName 'HR CSV Source' -RunProfileName 'Full Import' -Wait -PassThruActivity | Select-Object TargetName, Status, ObjectsProcessed, Message"
Show-Step 'A wrong name is one clear error' "try { Start-JIMRunProfile -ConnectedSystemName 'Payroll' -RunProfileName 'Full Import' -ErrorAction Stop } catch { `$_.Exception.Message }"
Show-Step 'Leave nothing behind' 'Disconnect-JIM -Forget'
