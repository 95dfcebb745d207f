//! -WhatIf: shows what would change and sends no change, also with -Force; proved for every cmdlet that changes something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{Pwsh, Sandbox, Stub, json};

/// Calls every cmdlet that supports ShouldProcess with -WhatIf, in each parameter set, with made-up arguments.
const CALL_ALL: &str = r#"
$ErrorActionPreference = 'SilentlyContinue'
$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null 3>$null
$null = Connect-NDM -Server $Url -AccessToken any -NoPersist 6>$null 3>$null
$guid = '11111111-2222-3333-4444-555555555555'
$object = [pscustomobject] @{ Id = 1; Name = 'x'; ConnectedSystemId = 1; SyncRuleId = 1; GroupId = 1; PredefinedSearchId = 1; ScheduleId = $guid; ObjectTypeId = 1; Uri = 'x'; jobInfo = @{ jobId = 0; name = 'x' } }
function Get-Value($parameter) {
    $set = $parameter.Attributes | Where-Object { $_ -is [ValidateSet] } | Select-Object -First 1
    if ($set) { if ($parameter.ParameterType.IsArray) { return , @($set.ValidValues[0]) } else { return $set.ValidValues[0] } }
    switch ($parameter.ParameterType) {
        ([int]) { $range = $parameter.Attributes | Where-Object { $_ -is [ValidateRange] } | Select-Object -First 1; if ($range) { return $range.MinRange } else { return 1 } }
        ([long]) { return 1 }
        ([decimal]) { return 1 }
        ([bool]) { return $true }
        ([switch]) { return $true }
        ([guid]) { return [guid] $guid }
        ([guid[]]) { return , @([guid] $guid) }
        ([int[]]) { return , @(1) }
        ([string[]]) { return , @('x') }
        ([datetime]) { return [datetime]::UtcNow }
        ([Nullable[datetime]]) { return [datetime]::UtcNow }
        ([array]) { return , @(@{ Standard = 'Scim'; CounterpartName = 'x' }) }
        ([timespan]) { return [timespan]::FromHours(1) }
        ([hashtable]) { return @{ '1' = @{ stringValue = 'x' } } }
        ([hashtable[]]) { return , @(@{ a = 1 }) }
        ([byte[]]) { return , [byte[]] (1, 2, 3) }
        ([securestring]) { return ConvertTo-SecureString -String 'Secret-1' -AsPlainText -Force }
        ([psobject]) { return $object }
        default { return 'x' }
    }
}
$common = [System.Management.Automation.Cmdlet]::CommonParameters + 'WhatIf' + 'Confirm'
$calls = 0
foreach ($command in Get-Command -Module JimHost -CommandType Function) {
    if (-not $command.Parameters.ContainsKey('WhatIf')) { continue }
    Write-Host "== $($command.Name)"
    foreach ($set in $command.ParameterSets) {
        foreach ($all in $false, $true) {
            $arguments = @{ WhatIf = $true }
            foreach ($parameter in $set.Parameters) {
                if ($parameter.Name -in $common) { continue }
                if ($parameter.IsMandatory -or ($all -and $parameter.Name -notin 'Disable')) {
                    $arguments[$parameter.Name] = Get-Value $command.Parameters[$parameter.Name]
                }
            }
            if ($command.Parameters.ContainsKey('Force')) { $arguments.Force = $true }
            try { $null = & $command @arguments *>&1 } catch { }
            $calls++
        }
    }
}
"calls=$calls"
"#;

#[test]
fn no_cmdlet_sends_a_change_under_whatif_also_with_force() {
    let stub = Stub::start(|_, path, _| {
        let entity = r#"{"id":1,"name":"x","connectedSystemId":1,"status":"healthy","isEnabled":true,"steps":[],"attributes":[],"objectTypes":[],"accounts":[],"type":"Text","attributePlurality":"SingleValued","connectedSystemObjects":[{"id":"x","connectedSystemId":1}]}"#;
        let path = path.split('?').next().unwrap();
        if path.starts_with("/GroupIDDataService/") {
            let document = r#"{"jobCollectionInfo":{"id":1,"name":"x"},"jobInfo":{"jobId":1,"name":"x"}}"#;
            let data = if path.ends_with("/Details") { document } else { "[]" };
            return json(200, &format!(r#"{{"count":0,"data":{data},"status":0,"message":null}}"#));
        }
        if path.ends_with("/run-profiles") || path.ends_with("apikeys") {
            return json(200, &format!("[{entity}]"));
        }
        if path.rsplit('/').next().unwrap().chars().all(|c| c.is_ascii_alphabetic() || c == '-')
            && !path.ends_with("/health")
        {
            return json(
                200,
                &format!(
                    r#"{{"items":[{entity}],"totalCount":1,"page":1,"pageSize":100,"totalPages":1,"hasNextPage":false}}"#
                ),
            );
        }
        json(200, entity)
    });
    let run = Pwsh::new(&stub.url).run(CALL_ALL);
    let calls: usize =
        run.stdout.split("calls=").nth(1).unwrap_or_else(|| panic!("{}", run.text())).trim().parse().unwrap();
    assert!(calls >= 60, "only {calls} calls");
    // Evaluating an expression or validating is a POST that changes nothing.
    let changing: Vec<_> =
        stub.seen().into_iter().filter(|r| !r.starts_with("GET") && !r.contains("/expressions/")).collect();
    assert!(changing.is_empty(), "{changing:#?}");
    // Each got as far as the question: silence would prove nothing.
    let silent: Vec<&str> = run
        .stdout
        .split("== ")
        .skip(1)
        .filter(|said| !said.contains("What if: "))
        .filter_map(|said| said.lines().next())
        .collect();
    let stopped = STOPPED.map(|(name, _)| name);
    // Directory Manager's need a connection of their own: tests/ndm_documents.rs and tests/ndm_review.rs.
    let silent: Vec<&str> =
        silent.into_iter().filter(|name| !stopped.contains(name) && !name.contains("-NDM")).collect();
    assert!(silent.is_empty(), "these asked nothing: {silent:?}");
}

/// These read an entity first and stop at the stub's, which has not the shape of a real one; so they
/// are tried on the sandbox's.
const STOPPED: [(&str, &str); 7] = [
    (
        "Add-JIMExampleDataTemplateAttribute",
        "Get-JIMExampleDataTemplate | Select-Object -First 1 | ForEach-Object { Add-JIMExampleDataTemplateAttribute -TemplateId $_.Id -ObjectType User -MetaverseAttribute 'Employee ID' -MinNumber 1 -MaxNumber 500 -SequentialNumbers $true -WhatIf }",
    ),
    (
        "New-JIMExampleDataTemplate",
        "New-JIMExampleDataTemplate -Name Demo -ObjectType @{ MetaverseObjectType = 'User'; ObjectsToCreate = 50; Attributes = @(@{ MetaverseAttribute = 'Employee ID'; SequentialNumbers = $true; MinNumber = 1; MaxNumber = 50 }) } -WhatIf",
    ),
    (
        "Set-JIMExampleDataTemplate",
        "Get-JIMExampleDataTemplate | Select-Object -First 1 | Set-JIMExampleDataTemplate -NewName Demo -WhatIf",
    ),
    (
        "Remove-JIMScheduleStep",
        "Remove-JIMScheduleStep -ScheduleId 162167b8-2251-4de9-9d96-72d96968edd3 -StepIndex 1 -Force -WhatIf",
    ),
    ("Set-JIMApiKey", "Get-JIMApiKey | Select-Object -First 1 | Set-JIMApiKey -Description x -WhatIf"),
    (
        "Set-JIMMetaverseAttribute",
        "Get-JIMMetaverseAttribute -Name Department | Set-JIMMetaverseAttribute -StandardMappings @{ Standard = 'Scim'; CounterpartName = 'department' } -WhatIf",
    ),
    (
        "Set-JIMMetaverseObjectPassword",
        "$secret = ConvertTo-SecureString -String Secret-1 -AsPlainText -Force; Get-JIMMetaverseObject -ObjectTypeName User | Select-Object -First 5 | ForEach-Object { foreach ($id in 1, 2, 3) { Set-JIMMetaverseObjectPassword -Id $_.Id -ConnectedSystemId $id -Password $secret -Force -WhatIf 3>$null } }",
    ),
];

#[test]
fn those_that_need_a_real_entity_ask_as_well() {
    let sandbox = Sandbox::start(&["--run-speed", "50"]);
    let people = "foreach ($id in 1, 3) { foreach ($run in 'Full Import', 'Full Synchronisation') { Start-JIMRunProfile -ConnectedSystemId $id -RunProfileName $run -Wait *> $null } }";
    Pwsh::new(&sandbox.url).run(&format!("$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null\n{people}"));
    sandbox.clear_record();
    for (name, script) in STOPPED {
        let run = Pwsh::new(&sandbox.url)
            .run(&format!("$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null\n{script}"));
        assert!(run.stdout.contains("What if: "), "{name}: {}", run.text());
    }
    assert!(!sandbox.record().iter().any(|r| !r.starts_with("GET")), "{:#?}", sandbox.record());
}

#[test]
fn each_field_is_shown_now_and_then() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(
        "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null
        Get-JIMRunProfile -ConnectedSystemId 1 | Where-Object { $_.name -eq 'Full Import' } | Set-JIMRunProfile -PageSize 1000 -Name 'New name' -FilePath '' -WhatIf
        (Get-JIMRunProfile -ConnectedSystemId 1 | Where-Object { $_.name -eq 'Full Import' }).PageSize",
    );
    let text = run.stdout;
    assert!(text.contains("What if: Change run profile 1 of connected system 1 ('Full Import')"), "{text}");
    assert!(text.contains("PageSize: 500 -> 1000") && text.contains("Name: 'Full Import' -> 'New name'"), "{text}");
    assert!(text.trim_end().ends_with("500"), "{text}");
    assert!(!sandbox.record().iter().any(|r| r.starts_with("PUT")));
}

#[test]
fn the_preference_of_the_calling_script_counts() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(
        "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null
        $WhatIfPreference = $true
        Remove-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 3 -Force
        $WhatIfPreference = $false
        @(Get-JIMRunProfile -ConnectedSystemId 1).Count",
    );
    assert!(run.stdout.contains("What if: Delete run profile 3"), "{}", run.text());
    assert!(run.stdout.trim_end().ends_with('3'), "{}", run.text());
}

#[test]
fn without_anybody_to_ask_a_question_is_an_error_and_nothing_happens() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(
        "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null
        try { Remove-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 3 } catch { $_.FullyQualifiedErrorId }
        @(Get-JIMRunProfile -ConnectedSystemId 1).Count",
    );
    assert!(run.stdout.contains("JIM.CannotAsk,Remove-JIMRunProfile"), "{}", run.text());
    assert!(run.stdout.trim_end().ends_with('3'), "{}", run.text());
}
