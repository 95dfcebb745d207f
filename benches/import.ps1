# Import-Module in fresh processes: this module, against a generated one-file module with as many
# empty functions, and against one whose empty functions have the same parameters.
. $PSScriptRoot/Common.ps1
$folder = New-WorkFolder
Import-Module $Module
$functions = (Get-Module JimHost).ExportedFunctions.Values
$bare = foreach ($function in $functions) { "function $($function.Name) { }" }
$declared = foreach ($function in $functions) { "function $($function.Name) {$($function.Definition -replace '(?m)^    process \{ .*\}\s*$', '    process { }')}" }
[System.IO.File]::WriteAllLines("$folder/Bare.psm1", [string[]] $bare)
[System.IO.File]::WriteAllLines("$folder/Declared.psm1", [string[]] $declared)

$modules = [ordered] @{ ours = $Module; bare = "$folder/Bare.psm1"; declared = "$folder/Declared.psm1" }
$times = @{}
foreach ($name in $modules.Keys) { $times[$name] = [System.Collections.Generic.List[double]]::new() }
for ($round = -1; $round -lt 21; $round++) {
    foreach ($name in $modules.Keys) {
        $took = & $Pwsh -NoProfile -Command "`$w = [System.Diagnostics.Stopwatch]::StartNew(); Import-Module '$($modules[$name])'; `$w.Elapsed.TotalMilliseconds.ToString([cultureinfo]::InvariantCulture)"
        if ($round -ge 0) { $times[$name].Add([double]::Parse($took, [cultureinfo]::InvariantCulture)) }
    }
}
[System.IO.Directory]::Delete($folder, $true)
$ours = Get-Median $times.ours.ToArray()
Write-Result 'module import' $ours 'ms' "$($functions.Count) empty functions" (Get-Median $times.bare.ToArray()) '<= 1.3'
Write-Result 'module import' $ours 'ms' 'the same, with the same parameters' (Get-Median $times.declared.ToArray())
