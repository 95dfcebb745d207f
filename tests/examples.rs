//! Every example in the help of every cmdlet runs as it stands, each against a sandbox of its own.
//! What can't run is in the list below with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use support::{Pwsh, program};

/// Examples that can't run here, and why.
const NOT_RUN: [(&str, &str); 5] = [
    ("Watch-JIMLog -Service worker -Level Error, Warning", "goes on until Ctrl-C"),
    (CONNECT_NDM, "names a server that isn't there"),
    ("Connect-NDM", "takes what the environment or the keyring has"),
    ("Connect-NDM dm01 -AccessToken $token -CertificateFile ./dm01.pem -PassThru", "names a server that isn't there"),
    (IMPORT_MAPPED, "takes the map of a second server"),
];
const CONNECT_NDM: &str = "Connect-NDM -Server dm01 -Credential (Get-Credential) -IdentityStoreId 2 -ClientId $clientId -ClientSecret (Read-Host -AsSecureString)";
const IMPORT_MAPPED: &str = "Import-NDMJobCollection -Path ./hr.json -NewName 'HR (test)' -ReferenceMap ./test-server.json -SecretMap @{ 'jobs[0].fieldsMap[4].transform' = (Read-Host -AsSecureString) }";

/// As many PowerShell processes as a small machine has cores.
const WORKERS: usize = 2;

/// Runs the examples of every `WORKERS`th cmdlet, and writes what went wrong.
const RUN: &str = r#"
$global:ConfirmPreference = 'None'
# What a person would answer, and what a server without a desktop lacks.
function Read-Host { param($Prompt, [switch] $AsSecureString) ConvertTo-SecureString 'Correct-Horse-7' -AsPlainText -Force }
function Set-Clipboard { process { } }
$env:JIM_API_KEY = $ApiKey
$folder = New-Item -ItemType Directory -Path (Join-Path $HOME 'work')
# What Get-Help reads too, which would take longer than the examples.
$help = [xml] (Get-Content -Raw -Path (Join-Path (Split-Path $env:TEST_MODULE) 'en-US/JimHost-help.xml'))
$index = -1
$told = foreach ($command in $help.helpItems.command) {
    if ((++$index) % [int] $env:TEST_WORKERS -ne [int] $env:TEST_WORKER) { continue }
    $name = $command.details.name
    foreach ($code in $command.examples.example.code) {
        if ($code -in ($env:TEST_NOT_RUN -split "`n")) { @{ cmdlet = $name; code = "$code"; skipped = $true; errors = @() }; continue }
        $start = [System.Diagnostics.ProcessStartInfo]::new($env:TEST_PROGRAM)
        $start.RedirectStandardOutput = $true
        foreach ($word in 'sandbox', '--listen', '127.0.0.1:0', '--run-speed', '50') { $start.ArgumentList.Add($word) }
        $sandbox = [System.Diagnostics.Process]::Start($start)
        try {
            $env:JIM_URL = ($sandbox.StandardOutput.ReadLine() -split ' ' -match '^http://')[0]
            Set-Location -Path $folder.FullName
            Set-Content -Path ./scope.txt -Value $env:TEST_SCOPE
            Set-Content -Path ./partner-ca.cer -Value $env:TEST_CERTIFICATE
            $null = Connect-JIM -Url $env:JIM_URL -ApiKey $env:JIM_API_KEY -NoPersist
            if ($name -match '-NDM') {
                $password = ConvertTo-SecureString 'sandbox-password' -AsPlainText -Force
                $null = Connect-NDM -Server $env:JIM_URL -Credential ([pscredential]::new('sandbox', $password)) -IdentityStoreId 2 -ClientId sandbox-client -ClientSecret sandbox-secret -NoPersist
                # The files of the examples.
                $null = foreach ($place in 'test', 'live', 'collections') { New-Item -ItemType Directory -Force -Path "./$place" }
                foreach ($file in './hr.json', './test/hr.json', './live/hr.json') { Export-NDMJobCollection -Id 3 -Path $file -Force }
                Get-NDMJobCollection | Export-NDMJobCollection -Path ./collections -Force
                Get-NDMJobCollection -Id 3 -AsJson -IncludeSecret 3> $null | Set-Content -Path ./create.json
                $job = (Get-NDMJobCollection -Id 3 -IncludeSecret 3> $null).jobs[0]
                Set-Content -Path ./job.json -Value (ConvertTo-Json -InputObject $job -Depth 32)
            }
            # The people of the examples come from a source.
            if ($code -match 'MetaverseObject\b|ConnectedSystemObject\b|PendingExport|ActivityStats') {
                foreach ($system in 1, 3) { foreach ($run in 'Full Import', 'Full Synchronisation') {
                    Start-JIMRunProfile -ConnectedSystemId $system -RunProfileName $run *> $null
                } }
                while (Get-JIMWorkerTask) { Start-Sleep -Milliseconds 20 }
            }
            $Error.Clear()
            $clock = [System.Diagnostics.Stopwatch]::StartNew()
            $written = try { & ([scriptblock]::Create($code)) 2> $null 3> $null 4> $null 5> $null 6> $null } catch { }
            # Only what is surely this cmdlet's own.
            $alone = $code.StartsWith($name) -and $code -notmatch '[|;\n]'
            $documented = @($command.SelectNodes('*[local-name()="returnValues"]//*[local-name()="para"]') | ForEach-Object { if ($_.InnerText -match '^Properties[^:]*: (.*)\.$') { $Matches[1] -split ', ' } })
            @{
                cmdlet = $name; code = "$code"; skipped = $false; seconds = $clock.Elapsed.TotalSeconds
                undocumented = @(if ($alone) {
                    $written | Where-Object { $_ -is [System.Management.Automation.PSCustomObject] } | ForEach-Object { $_.PSObject.Properties.Name } |
                        Sort-Object -Unique | Where-Object { $_ -notin $documented }
                })
                checked = $alone -and $documented.Count -and @($written).Count
                errors = @($Error | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] } | ForEach-Object { "$_" })
            }
        } finally { $sandbox.Kill() }
    }
}
ConvertTo-Json -InputObject @($told) -Depth 4 -Compress
"#;

#[test]
fn every_example_runs_against_the_sandbox_without_an_error() {
    let certificate = rcgen::generate_simple_self_signed(vec!["partner.example".to_owned()]).unwrap().cert.pem();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let certificate = certificate.clone();
            std::thread::spawn(move || {
                let run = Pwsh::new("")
                    .env("TEST_PROGRAM", program())
                    .env("TEST_WORKERS", &WORKERS.to_string())
                    .env("TEST_WORKER", &worker.to_string())
                    .env("TEST_CERTIFICATE", &certificate)
                    .env("TEST_NOT_RUN", &NOT_RUN.map(|(code, _)| code).join("\n"))
                    .env("TEST_SCOPE", "dc=panoply,dc=example")
                    .run(RUN);
                assert_eq!(run.code, Some(0), "{}", run.text());
                run.json().as_array().unwrap().clone()
            })
        })
        .collect();
    let told: Vec<Value> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();

    let skipped = told.iter().filter(|example| example["skipped"] == true).count();
    assert_eq!(skipped, NOT_RUN.len(), "an example that isn't run is gone from the help");
    let mut count = BTreeMap::new();
    for example in &told {
        *count.entry(example["cmdlet"].as_str().unwrap()).or_insert(0) += 1;
    }
    let few: Vec<_> = count.iter().filter(|(_, examples)| **examples < 2).collect();
    assert!(count.len() >= 159 && few.is_empty(), "{} cmdlets; fewer than two examples: {few:?}", count.len());
    let failed: Vec<String> = told
        .iter()
        .filter(|example| example["errors"] != serde_json::json!([]))
        .map(|example| format!("{}: {}\n    {}", example["cmdlet"], example["code"], example["errors"]))
        .collect();
    let undocumented: Vec<String> = told
        .iter()
        .filter(|example| example["undocumented"].as_array().is_some_and(|names| !names.is_empty()))
        .map(|example| format!("{}\n    {}", example["code"], example["undocumented"]))
        .collect();
    assert!(undocumented.is_empty(), "the help knows nothing of these properties:\n{}", undocumented.join("\n"));
    let checked = told.iter().filter(|example| example["checked"] == true).count();
    assert!(checked >= 70, "only {checked} outputs were compared with the help");
    assert!(failed.is_empty(), "{} examples fail:\n{}", failed.len(), failed.join("\n"));
}
