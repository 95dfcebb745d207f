# Values between PowerShell and JSON.

# ConvertFrom-Json without the cost of a command call: the cmdlet's own class, used as an object.
function script:Read-HostJson([string] $Line) {
    if ($null -eq $script:JsonReader) {
        $script:JsonReader = (Get-Command -Name 'Microsoft.PowerShell.Utility\ConvertFrom-Json' -CommandType Cmdlet).ImplementingType
    }
    $reader = $script:JsonReader::new()
    $reader.InputObject = $Line
    foreach ($value in $reader.Invoke()) { return $value }
}

# Texts that merely look like dates come with a mark before them, or PowerShell would turn them into dates.
function script:Restore-HostText($Value) {
    if ($Value -is [string]) {
        if ($Value.Length -and $Value[0] -eq [char] 0xE000) { return $Value.Substring(1) }
    }
    elseif ($Value -is [object[]]) {
        for ($index = 0; $index -lt $Value.Length; $index++) { $Value[$index] = Restore-HostText $Value[$index] }
        return , $Value
    }
    elseif ($Value -is [System.Management.Automation.PSCustomObject]) {
        foreach ($property in $Value.PSObject.Properties) {
            if ($property.Value -is [string] -or $property.Value -is [object[]] -or $property.Value -is [System.Management.Automation.PSCustomObject]) {
                $property.Value = Restore-HostText $property.Value
            }
        }
    }
    return $Value
}

# Passwords become SecureStrings before the object goes anywhere.
function script:Protect-HostSecret($Value, $Names) {
    foreach ($name in $Names) {
        $property = $Value.PSObject.Properties[$name]
        if ($null -eq $property -or $property.Value -isnot [string]) { continue }
        $secret = [securestring]::new()
        foreach ($character in $property.Value.ToCharArray()) { $secret.AppendChar($character) }
        $secret.MakeReadOnly()
        $property.Value = $secret
    }
}

# A value as JSON. Dates travel in UTC, secrets in the clear: only ever over the pipe to the host.
function script:ConvertTo-HostJson($Value, [int] $Depth = 0) {
    if ($null -eq $Value) { return 'null' }
    if ($Value -is [psobject] -and $Value.PSObject.BaseObject -isnot [System.Management.Automation.PSCustomObject]) { $Value = $Value.PSObject.BaseObject }
    if ($Value -is [string] -or $Value -is [char]) { return [System.Web.HttpUtility]::JavaScriptStringEncode([string] $Value, $true) }
    if ($Value -is [bool] -or $Value -is [switch]) { if ($Value) { return 'true' } else { return 'false' } }
    if ($Value -is [int] -or $Value -is [long] -or $Value -is [byte] -or $Value -is [int16] -or $Value -is [uint32] -or $Value -is [uint64] -or
        $Value -is [uint16] -or $Value -is [sbyte] -or $Value -is [decimal] -or $Value -is [System.Numerics.BigInteger]) {
        return $Value.ToString([cultureinfo]::InvariantCulture)
    }
    if ($Value -is [double] -or $Value -is [single]) { return $Value.ToString('R', [cultureinfo]::InvariantCulture) }
    if ($Value -is [datetime]) { return '"' + $Value.ToUniversalTime().ToString('o', [cultureinfo]::InvariantCulture) + '"' }
    if ($Value -is [datetimeoffset]) { return '"' + $Value.UtcDateTime.ToString('o', [cultureinfo]::InvariantCulture) + '"' }
    if ($Value -is [timespan]) { return '"' + $Value.ToString('c', [cultureinfo]::InvariantCulture) + '"' }
    if ($Value -is [securestring]) { return [System.Web.HttpUtility]::JavaScriptStringEncode([System.Net.NetworkCredential]::new('', $Value).Password, $true) }
    if ($Value -is [pscredential]) {
        return '{"userName":' + (ConvertTo-HostJson $Value.UserName) + ',"password":' + (ConvertTo-HostJson $Value.Password) + '}'
    }
    if ($Value -is [byte[]]) { return '"' + [Convert]::ToBase64String($Value) + '"' }
    if ($Value -is [ValueType]) { return [System.Web.HttpUtility]::JavaScriptStringEncode($Value.ToString(), $true) }
    if ($Depth -ge 32) { throw 'A value is nested more than 32 levels deep.' }
    $parts = [System.Collections.Generic.List[string]]::new()
    if ($Value -is [System.Collections.IDictionary]) {
        foreach ($entry in $Value.GetEnumerator()) {
            $parts.Add([System.Web.HttpUtility]::JavaScriptStringEncode([string] $entry.Key, $true) + ':' + (ConvertTo-HostJson $entry.Value ($Depth + 1)))
        }
        return '{' + ($parts -join ',') + '}'
    }
    if ($Value -is [System.Collections.IEnumerable]) {
        foreach ($item in $Value) { $parts.Add((ConvertTo-HostJson $item ($Depth + 1))) }
        return '[' + ($parts -join ',') + ']'
    }
    foreach ($property in $Value.PSObject.Properties) {
        $parts.Add([System.Web.HttpUtility]::JavaScriptStringEncode($property.Name, $true) + ':' + (ConvertTo-HostJson $property.Value ($Depth + 1)))
    }
    '{' + ($parts -join ',') + '}'
}

# What the host needs of a piped object: some properties, not all of it.
function script:ConvertTo-HostInput($Value, $Take) {
    $isMap = $Value -is [System.Collections.IDictionary]
    # Read once: each access to .PSObject.Properties builds the collection again. No if-expression: it would enumerate.
    $members = $Value
    if (-not $isMap) { $members = $Value.PSObject.Properties }
    $json = ''
    foreach ($name in $Take) {
        $found = $members[$name]
        if ($null -eq $found) { continue }
        if (-not $isMap) { $found = $found.Value }
        if ($null -eq $found) { continue }
        $text = if ($found -is [long] -or $found -is [int]) { "$found" } else { ConvertTo-HostJson $found }
        $json = if ($json) { "$json,`"$name`":$text" } else { "`"$name`":$text" }
    }
    "{$json}"
}
