//! Help, examples, completion and views of every exported cmdlet, as PowerShell itself shows them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::{Pwsh, Sandbox};

/// One line of JSON per cmdlet or fault, read by the test.
fn told(script: &str) -> Value {
    let run = Pwsh::new("").run(script);
    assert_eq!(run.code, Some(0), "{}", run.text());
    run.json()
}

#[test]
fn every_cmdlet_has_help_that_renders_and_at_least_two_examples() {
    let told = told(
        "$all = foreach ($command in Get-Command -Module JimHost -CommandType Function) {
            $help = Get-Help -Name $command.Name -Full
            $text = $help | Out-String
            @{
                name = $command.Name; synopsis = \"$($help.Synopsis)\".Trim(); examples = @($help.examples.example).Count
                described = \"$($help.description | Out-String)\".Trim().Length -gt 0
                rendered = $text.Length; named = $text.Contains($command.Name)
                silent = @(foreach ($parameter in $help.parameters.parameter) { if (-not (\"$($parameter.description | Out-String)\".Trim()) -and $parameter.name -notin 'WhatIf', 'Confirm') { $parameter.name } })
                missing = @(foreach ($name in $command.Parameters.Keys) {
                    if ($name -notin ([System.Management.Automation.Cmdlet]::CommonParameters + 'WhatIf' + 'Confirm' + 'ProgressAction') -and $name -notin @($help.parameters.parameter.name)) { $name }
                })
            }
        }
        ConvertTo-Json -InputObject @($all) -Depth 4 -Compress",
    );
    let all = told.as_array().unwrap();
    assert!(all.len() >= 100, "{} cmdlets", all.len());
    let faulty: Vec<&Value> = all
        .iter()
        .filter(|help| {
            let synopsis = help["synopsis"].as_str().unwrap();
            // Without help PowerShell makes the syntax up as synopsis.
            synopsis.is_empty()
                || synopsis.contains("[<CommonParameters>]")
                || help["examples"].as_u64().unwrap() < 2
                || help["described"] != true
                || help["named"] != true
                || help["rendered"].as_u64().unwrap() < 300
                || help["silent"] != serde_json::json!([])
                || help["missing"] != serde_json::json!([])
        })
        .collect();
    assert!(faulty.is_empty(), "{faulty:#?}");
}

#[test]
fn every_example_parses_and_uses_parameters_that_exist() {
    let told = told(
        "$faults = foreach ($command in Get-Command -Module JimHost -CommandType Function) {
            foreach ($example in (Get-Help -Name $command.Name -Full).examples.example) {
                $tokens = $null; $errors = $null
                $code = ($example.code | Out-String)
                $tree = [System.Management.Automation.Language.Parser]::ParseInput($code, [ref] $tokens, [ref] $errors)
                foreach ($problem in $errors) { \"$($command.Name): $code -> $($problem.Message)\" }
                if ($code -notmatch [regex]::Escape($command.Name)) { \"$($command.Name): its example doesn't use it: $code\" }
                foreach ($use in $tree.FindAll({ $args[0] -is [System.Management.Automation.Language.CommandAst] }, $true)) {
                    $name = $use.GetCommandName()
                    if ($name -notmatch '-(JIM|NDM)') { continue }
                    $known = Get-Command -Name $name -ErrorAction Ignore
                    if (-not $known) { \"$($command.Name): $name doesn't exist\"; continue }
                    foreach ($element in $use.CommandElements) {
                        if ($element -isnot [System.Management.Automation.Language.CommandParameterAst]) { continue }
                        try { $null = $known.ResolveParameter($element.ParameterName) }
                        catch { \"$($command.Name): $name has no -$($element.ParameterName)\" }
                    }
                }
            }
        }
        ConvertTo-Json -InputObject @($faults) -Compress",
    );
    assert_eq!(told, serde_json::json!([]), "{told:#}");
}

#[test]
fn the_manifest_exports_what_the_module_defines_and_nothing_else() {
    let told = told(
        "$manifest = Import-PowerShellDataFile -Path $env:TEST_MODULE
        $module = Get-Module -Name JimHost
        $inside = @(& $module { (Get-Command -CommandType Function | Where-Object { $_.ModuleName -eq 'JimHost' -and $_.Name -match '-(JIM|NDM)' }).Name } | Sort-Object)
        $listed = @($manifest.FunctionsToExport | Sort-Object)
        ConvertTo-Json -Compress -InputObject @{
            wildcard = @($manifest.FunctionsToExport + $manifest.AliasesToExport + $manifest.CmdletsToExport | Where-Object { $_ -match '[*?]' })
            unlisted = @($inside | Where-Object { $_ -notin $listed }); undefined = @($listed | Where-Object { $_ -notin $inside })
            verbs = @($listed | ForEach-Object { ($_ -split '-')[0] } | Sort-Object -Unique | Where-Object { $_ -notin (Get-Verb).Verb })
        }",
    );
    for (what, list) in told.as_object().unwrap() {
        assert_eq!(*list, serde_json::json!([]), "{what}");
    }
}

#[test]
fn what_comes_out_has_a_view_and_reads_well() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(
        "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null
        Get-JIMConnectedSystem | Out-String -Width 120
        Get-JIMRunProfile -ConnectedSystemId 1 | Out-String -Width 120
        Get-JIMActivity | Select-Object -First 3 | Out-String -Width 120",
    );
    assert_eq!(run.code, Some(0), "{}", run.text());
    let text = &run.stdout;
    for words in ["HR CSV Source", "Full Import", "FullImport", "500"] {
        assert!(text.contains(words), "no {words}:\n{text}");
    }
    for unreadable in ["@{", "System.Object", "System.Collections"] {
        assert!(!text.contains(unreadable), "{unreadable}:\n{text}");
    }
    // A table, not a list of properties.
    assert!(text.lines().any(|line| line.contains("----")), "{text}");
}

#[test]
fn the_views_come_with_the_first_cmdlet_and_leave_those_of_powershell_alone() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(
        "Get-JIMRunProfile -ConnectedSystemId 1 -Verbose
        Write-Error 'of somebody else'
        $null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null
        Get-JIMRunProfile -ConnectedSystemId 1 | Out-String -Width 120
        @(Get-Module | Where-Object { $_.Name -like 'JimHost*' }).Name -join ','
        Remove-Module -Name JimHost
        Import-Module $env:TEST_MODULE
        Get-JIMRunProfile -ConnectedSystemId 1 | Out-String -Width 120
        Get-Process -Id $PID | Out-String -Width 120",
    );
    let text = run.text();
    // PowerShell's own view of an error, and of a process.
    assert!(text.contains("| Not connected to JIM."), "{text}");
    assert!(text.contains("Write-Error: of somebody else"), "{text}");
    assert!(!text.contains("FullyQualifiedErrorId"), "{text}");
    assert!(text.contains("NPM(K)"), "{text}");
    assert!(!text.contains("Loading module"), "{text}");
    let heads = run.stdout.lines().filter(|line| line.contains("RunType") && line.contains("PageSize"));
    assert_eq!(heads.count(), 2, "{text}");
    assert!(run.stdout.lines().any(|line| line == "JimHost"), "{text}");
}
