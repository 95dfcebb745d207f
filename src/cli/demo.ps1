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

# The other product: a whole job collection is one document.
$Server = $Url
$Credential = [pscredential]::new($env:JIMHOST_DEMO_USER, (ConvertTo-SecureString -String $env:JIMHOST_DEMO_PASSWORD -AsPlainText -Force))
$ClientId = $env:JIMHOST_DEMO_CLIENT
$ClientSecret = ConvertTo-SecureString -String $env:JIMHOST_DEMO_SECRET -AsPlainText -Force
$Store = [int] $env:JIMHOST_DEMO_STORE
Set-Location -Path $env:JIMHOST_DEMO_FOLDER
Show-Step 'Directory Manager: sign in' 'Connect-NDM -Server $Server -Credential $Credential -IdentityStoreId $Store -ClientId $ClientId -ClientSecret $ClientSecret -NoPersist'
Show-Step 'Create a job collection from a document' 'New-NDMJobCollection -Path ./create.json'
$Id = (Get-NDMJobCollection -Name 'New colleagues').id
Show-Step 'What is there' 'Get-NDMJobCollection'
Show-Step 'The whole document is an object; its secrets are placeholders' "(Get-NDMJobCollection -Id $Id).jobs[0].fieldsMap | Select-Object destinationField, sourceField, transform"
Show-Step 'What would change' "Enable-NDMJobCollectionNotification -Id $Id -Recipient 'hr@example.com' -WhatIf"
Show-Step 'Change it: everything else leaves as the server wrote it' "Enable-NDMJobCollectionNotification -Id $Id -Recipient 'hr@example.com' -WarningAction SilentlyContinue"
Show-Step 'The file and the server, as an administrator reads it' "Compare-NDMJobCollection -ReferencePath ./create.json -DifferenceId $Id"
Show-Step 'Keep it in git: stable text without secrets' "Export-NDMJobCollection -Id $Id -Path ./new-colleagues.json; Get-Content -Path ./new-colleagues.json -TotalCount 12"
Show-Step 'A placeholder is never sent' "try { `$c = Get-NDMJobCollection -Id $Id; `$c.notifyWhen = 1; `$c | Set-NDMJobCollection -ErrorAction Stop } catch { `$_.Exception.Message }"
Show-Step 'Leave nothing behind' 'Disconnect-NDM'
