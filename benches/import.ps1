# Import-Module in fresh processes: this module, against a generated one whose functions have the same
# parameters and do nothing, with a manifest that lists them and without; and against one with as
# many functions without parameters.
. $PSScriptRoot/Common.ps1
$folder = New-WorkFolder
Import-Module $Module
$functions = (Get-Module JimHost).ExportedFunctions.Values
$bare = foreach ($function in $functions) { "function $($function.Name) { }" }
$declared = foreach ($function in $functions) { "function $($function.Name) {$($function.Definition -replace '(?s)\n    begin \{.*$', "`n    process { }`n")}" }
[System.IO.File]::WriteAllLines("$folder/Bare.psm1", [string[]] $bare)
[System.IO.File]::WriteAllLines("$folder/Declared.psm1", [string[]] $declared)
[System.IO.File]::WriteAllText("$folder/Declared.psd1", "@{ RootModule = 'Declared.psm1'; ModuleVersion = '1.0'; FunctionsToExport = @('$($functions.Name -join "', '")'); CmdletsToExport = @(); VariablesToExport = @(); AliasesToExport = @() }")

$modules = [ordered] @{ ours = $Module; bare = "$folder/Bare.psm1"; declared = "$folder/Declared.psm1"; manifested = "$folder/Declared.psd1" }
$times = @{}
foreach ($name in $modules.Keys) { $times[$name] = [System.Collections.Generic.List[double]]::new() }
for ($round = -1; $round -lt 41; $round++) {
    foreach ($name in $modules.Keys) {
        $took = & $Pwsh -NoProfile -Command "`$w = [System.Diagnostics.Stopwatch]::StartNew(); Import-Module '$($modules[$name])'; `$w.Elapsed.TotalMilliseconds.ToString([cultureinfo]::InvariantCulture)"
        if ($round -ge 0) { $times[$name].Add([double]::Parse($took, [cultureinfo]::InvariantCulture)) }
    }
}
[System.IO.Directory]::Delete($folder, $true)
$ours = Get-Median $times.ours.ToArray()
Write-Result 'module import' $ours 'ms' 'the same functions and parameters, which do nothing' (Get-Median $times.manifested.ToArray()) '<= 1.3'
Write-Result 'module import' $ours 'ms' 'that, without a manifest' (Get-Median $times.declared.ToArray())
Write-Result 'module import' $ours 'ms' "$($functions.Count) functions without parameters or manifest" (Get-Median $times.bare.ToArray())
