//! Job collections as files: exported, checked, compared and imported, with the sandbox as server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::path::Path;
use support::{COLLECT, Pwsh, Run, Sandbox};

const CONNECT: &str = r#"
$Credential = [pscredential]::new('sandbox', (ConvertTo-SecureString -String 'sandbox-password' -AsPlainText -Force))
function Connect-Sandbox([string] $Server) {
    Connect-NDM -Server $Server -Credential $Credential -IdentityStoreId 2 -ClientId 'sandbox-client' -ClientSecret 'sandbox-secret' -NoPersist 6>$null
}
Connect-Sandbox $Url
Set-Location -Path $env:TEST_DIR
# A change as an editor makes it: nothing else in the file is touched.
function Edit-File([string] $From, [string] $To, [string] $Old, [string] $New) {
    $text = [System.IO.File]::ReadAllText("$PWD/$From")
    if (-not $text.Contains($Old)) { throw "$Old is not in $From" }
    [System.IO.File]::WriteAllText("$PWD/$To", $text.Replace($Old, $New))
}
"#;

/// What the sandbox holds in collections 3 and 12.
const PLANTED: &[&str] = &[
    "Demo-Only-Passw0rd=1;a&b",
    "Demo-Only-Cloud-Passw0rd",
    "VGhpcyBpcyBvbmx5IGEgZGVtb25zdHJhdGlvbg",
    "Tm90IGEgY2VydGlmaWNhdGUsIG9ubHkgYSBkZW1vbnN0cmF0aW9u",
    "QW5vdGhlciBkZW1vbnN0cmF0aW9u",
];

struct Room {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { sandbox: Sandbox::start(&[]), folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, script: &str) -> Run {
        let folder = self.folder.path().to_str().unwrap();
        let run = Pwsh::new(&self.sandbox.url).env("TEST_DIR", folder).run(&format!("{CONNECT}{COLLECT}{script}"));
        assert_no_secret(&run.text());
        run
    }

    fn told(&self, script: &str) -> Value {
        self.run(script).json()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The changes that reached the server.
    fn changes(&self) -> Vec<String> {
        let all = self.sandbox.record().into_iter();
        all.filter(|request| request.contains("DataSyncJobs") && !request.starts_with("GET")).collect()
    }
}

fn assert_no_secret(text: &str) {
    for secret in PLANTED {
        assert!(!text.contains(secret), "{}", text.replace(secret, "<SECRET>"));
    }
}

fn id(told: &Value) -> &str {
    told["errors"][0]["id"].as_str().unwrap_or_else(|| panic!("no error: {told:#}"))
}

fn message(told: &Value) -> &str {
    told["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("no error: {told:#}"))
}

#[test]
fn an_export_is_the_same_bytes_until_somebody_changes_the_collection() {
    let room = Room::new();
    let run = room.run(
        "Export-NDMJobCollection -Id 3 -Path ./one.json; Export-NDMJobCollection -Id 3 -Path ./two.json
        $first = Show-Outcome { Export-NDMJobCollection -Id 7 -Path ./one.json }
        $several = Show-Outcome { Export-NDMJobCollection -Id 3, 7 -Path ./several.json }
        $all = Show-Outcome { Get-NDMJobCollection | Export-NDMJobCollection -Path ./all/ -PassThru -Verbose 4>&1 }
        $again = Show-Outcome { Export-NDMJobCollection -Id 3, 7, 12 -Path ./all -Force }
        \"[$first,$several,$all,$again]\"",
    );
    let told = run.json();
    let one = room.read("one.json");
    assert_eq!(one, room.read("two.json"));
    assert_no_secret(&one);
    assert!(one.ends_with("}\n") && one.contains("\n  \"jobCollectionInfo\": {\n    \"id\": 3,"), "{one}");
    assert!(one.contains("Static:value={{secret:jobs[0].fieldsMap[4].transform}}"));
    assert!(
        one.contains(&format!("\"exportedFrom\": \"{}\"", room.sandbox.url)) && one.contains("\"fingerprint\": \"")
    );
    // The server's own order and oddities.
    assert_eq!(one.matches("\"key\": \"Destination.Type\"").count(), 4);
    assert_eq!(id(&told[0]), "NDM.FileExists,Export-NDMJobCollection");
    assert_eq!(id(&told[1]), "NDM.File,Export-NDMJobCollection");
    assert!(!Path::new(&room.path("several.json")).exists());
    let files: Vec<&Value> = told[2]["values"].as_array().unwrap().iter().filter(|v| v["Path"].is_string()).collect();
    assert_eq!(files.len(), 3, "{told:#}");
    assert_eq!(files[0]["Secrets"], "Redacted");
    assert_eq!(files[1]["Secrets"], "None");
    assert_eq!(told[3]["errors"], serde_json::json!([]));
    assert_eq!(room.read("all/HR to Active Directory.json"), one);
    assert_no_secret(&room.read("all/Cloud accounts.json"));
    assert_eq!(std::fs::read_dir(room.path("all")).unwrap().count(), 3, "nothing else, nothing temporary");
}

#[test]
fn secrets_are_written_only_on_request_and_for_the_owner_alone() {
    let room = Room::new();
    let told = room.told(
        "Export-NDMJobCollection -Id 12 -Path ./clear.json
        Show-Outcome { Export-NDMJobCollection -Id 12 -Path ./clear.json -IncludeSecret -Force -PassThru }",
    );
    let text = room.read("clear.json");
    for secret in &PLANTED[1..] {
        assert!(text.contains(secret));
    }
    assert_eq!(told["values"][0]["Secrets"], "Included");
    assert!(told["warnings"][0].as_str().unwrap().contains("holds 4 secrets of job collection 12"), "{told}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(room.path("clear.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_file_creates_a_collection_once_its_secrets_are_given() {
    let room = Room::new();
    let run = room.run(
        "Export-NDMJobCollection -Id 3 -Path ./hr.json
        Export-NDMJobCollection -Id 3 -Path ./clear.json -IncludeSecret 3>$null
        $path = 'jobs[0].fieldsMap[4].transform'
        $secret = ConvertTo-SecureString -String ('Demo-Only-Passw' + '0rd=1;a&b') -AsPlainText -Force
        $VerbosePreference = 'Continue'; $DebugPreference = 'Continue'
        $refused = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -NewName 'New HR' -Force 4>$null 5>$null }
        $strange = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -NewName 'New HR' -Force -SecretMap @{ 'jobs[9].x' = $secret; $path = $secret } 4>$null 5>$null }
        $unfit = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -NewName 'New HR' -Force -SecretMap @{ $path = 4711 } 4>$null 5>$null }
        $shown = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -NewName 'New HR' -SecretMap @{ $path = $secret } -WhatIf 4>$null 5>$null }
        $asked = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -NewName 'New HR' -SecretMap @{ $path = $secret } 4>$null 5>$null }
        Import-NDMJobCollection -Path ./hr.json -NewName 'Loud' -SecretMap @{ $path = $secret } -Confirm:$false | Out-String
        $VerbosePreference = 'SilentlyContinue'; $DebugPreference = 'SilentlyContinue'
        $made = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -AsNew -NewName 'New HR' -SecretMap @{ $path = $secret } -Confirm:$false }
        Export-NDMJobCollection -Id 22 -Path ./made.json -IncludeSecret 3>$null
        $same = Show-Outcome { Compare-NDMJobCollection -ReferencePath ./clear.json -DifferencePath ./made.json }
        \"[$refused,$strange,$unfit,$shown,$asked,$made,$same]\"",
    );
    let told = run.json();
    assert_eq!(id(&told[0]), "NDM.DocumentSecretMissing,Import-NDMJobCollection");
    assert!(message(&told[0]).contains("jobs[0].fieldsMap[4].transform"), "{told}");
    assert_eq!(id(&told[1]), "NDM.DocumentNoSuchSecret,Import-NDMJobCollection");
    assert_eq!(id(&told[2]), "NDM.InvalidArgument,Import-NDMJobCollection");
    assert!(!run.text().contains("4711"), "a value of the map was shown");
    assert_eq!((told[3]["count"].as_u64(), told[3]["errors"].as_array().map(Vec::len)), (Some(0), Some(0)), "{told}");
    // Nobody to ask: the code that comes along is not sent silently.
    assert_eq!(id(&told[4]), "JIM.CannotAsk,Import-NDMJobCollection");
    assert!(message(&told[4]).contains("brings code that the server runs"), "{told}");
    assert_eq!(told[5]["values"][0]["Id"], 22, "{told}");
    assert_eq!(told[5]["values"][0]["Result"], "Created");
    let differences = told[6]["values"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "only the name differs, the secret doesn't: {told}");
    assert_eq!((differences[0]["Property"].as_str(), differences[0]["Now"].as_str()), (Some("name"), Some("New HR")));
    assert_eq!(room.changes().len(), 2);
    assert!(!room.read("made.json").contains("exportedFrom\": \"http://127.0.0.1:0"));
}

#[test]
fn an_update_sends_what_the_file_changes_and_nothing_else() {
    let room = Room::new();
    let told = room.told(
        "Export-NDMJobCollection -Id 3 -Path ./hr.json
        Export-NDMJobCollection -Id 3 -Path ./before.json -IncludeSecret 3>$null
        $same = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -Update -KeepExistingSecret -Force }
        Edit-File hr.json changed.json 'Joiners$' 'Staff$'
        $whatif = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Update -KeepExistingSecret -WhatIf }
        $bare = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Update -Force }
        $sent = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Update -KeepExistingSecret -Confirm:$false }
        $live = Show-Outcome { Compare-NDMJobCollection -ReferencePath ./hr.json -Id 3 }
        Export-NDMJobCollection -Id 3 -Path ./after.json -IncludeSecret 3>$null
        $stale = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -Update -KeepExistingSecret -Confirm:$false }
        $idle = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Update -KeepExistingSecret -Confirm:$false }
        $forced = Show-Outcome { Import-NDMJobCollection -Path ./hr.json -Update -KeepExistingSecret -Force }
        Export-NDMJobCollection -Id 3 -Path ./undone.json -IncludeSecret 3>$null
        \"[$same,$whatif,$bare,$sent,$live,$stale,$idle,$forced]\"",
    );
    assert_eq!(told[0]["values"][0]["Result"], "Unchanged", "{told:#}");
    assert_eq!((told[1]["count"].as_u64(), told[1]["errors"].as_array().map(Vec::len)), (Some(0), Some(0)), "{told}");
    assert_eq!(id(&told[2]), "NDM.DocumentSecretMissing,Import-NDMJobCollection");
    assert_eq!(told[3]["values"][0]["Result"], "Updated", "{told}");
    assert!(told[3]["warnings"][0].as_str().unwrap().contains("sets passwords"), "{told}");
    let differences = told[4]["values"].as_array().unwrap();
    assert_eq!(differences.len(), 2, "the table and the query with its name: {told}");
    assert_eq!(differences[1]["Item"], "Source.Table");
    assert_eq!((differences[1]["Then"].as_str(), differences[1]["Now"].as_str()), (Some("Joiners$"), Some("Staff$")));
    assert_eq!(id(&told[5]), "NDM.ChangedMeanwhile,Import-NDMJobCollection");
    assert_eq!(told[6]["values"][0]["Result"], "Unchanged", "what is there already is no conflict: {told}");
    assert_eq!(told[7]["values"][0]["Result"], "Updated", "{told}");
    let unmarked =
        |name: &str| room.read(name).lines().filter(|l| !l.contains("\"fingerprint\"")).collect::<Vec<_>>().join("\n");
    // The secret too is what it was.
    assert_eq!(unmarked("after.json"), unmarked("before.json").replace("Joiners$", "Staff$"));
    assert_eq!(unmarked("undone.json"), unmarked("before.json"));
    assert_eq!(room.changes().len(), 2, "{:?}", room.changes());
}

#[test]
fn an_update_hits_only_the_collection_the_file_is_of() {
    let room = Room::new();
    let told = room.told(
        "Export-NDMJobCollection -Id 7 -Path ./groups.json; Export-NDMJobCollection -Id 7 -Path ./portable.json -Portable
        $other = Show-Outcome { Import-NDMJobCollection -Path ./groups.json -Update -Id 12 -Force }
        Edit-File groups.json wrong.json '\"id\": 7,' '\"id\": 12,'
        $wrong = Show-Outcome { Import-NDMJobCollection -Path ./wrong.json -Update -Force }
        $none = Show-Outcome { Import-NDMJobCollection -Path ./portable.json -Update -Force }
        Edit-File portable.json changed.json 'dbo.Departments' 'dbo.Units'
        $byId = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Update -Id 7 -Confirm:$false }
        $ids = Show-Outcome { Compare-NDMJobCollection -ReferencePath ./groups.json -DifferenceId 7 -IncludeId }
        Export-NDMJobCollection -Id 7 -Path ./groups.json -Force
        Edit-File groups.json renamed.json 'Groups nightly' 'Groups daily'
        $edited = Show-Outcome { Import-NDMJobCollection -Path ./renamed.json -Update -Confirm:$false }
        $renamed = Show-Outcome { Import-NDMJobCollection -Path ./groups.json -Update -NewName 'Groups weekly' -Force }
        $named = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Update -Id 7 -NewName 'Groups daily' -Confirm:$false }
        $name = (Get-NDMJobCollection | Where-Object id -eq 7).name
        \"[$other,$wrong,$none,$byId,$ids,$edited,$renamed,$named,`\"$name`\"]\"",
    );
    for wrong in [0, 1, 6] {
        assert_eq!(id(&told[wrong]), "NDM.NotTheSame,Import-NDMJobCollection", "{told:#}");
    }
    assert_eq!(id(&told[2]), "NDM.NoCollectionId,Import-NDMJobCollection");
    assert_eq!(told[3]["values"][0]["Result"], "Updated", "{told:#}");
    let items: Vec<&str> = told[4]["values"].as_array().unwrap().iter().map(|v| v["Item"].as_str().unwrap()).collect();
    assert_eq!(items, ["Group: source", "Source.Table"], "ids stay the server's: {told:#}");
    // Called otherwise in the file, but proved by its fingerprint.
    assert_eq!(told[5]["values"][0]["Result"], "Updated", "{told:#}");
    assert_eq!(told[7]["errors"], serde_json::json!([]), "{told:#}");
    assert_eq!(told[8], "Groups daily");
}

#[test]
fn a_name_that_exists_is_refused_numbered_or_updated() {
    let room = Room::new();
    let told = room.told(
        "Export-NDMJobCollection -Id 7 -Path ./groups.json
        Edit-File groups.json changed.json 'dbo.Departments' 'dbo.Units'
        $fail = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Force }
        $rename = Show-Outcome { 1..2 | ForEach-Object { Import-NDMJobCollection -Path ./changed.json -OnConflict Rename -Force } }
        $update = Show-Outcome { Get-Item ./changed.json | Import-NDMJobCollection -OnConflict Update -Confirm:$false }
        $free = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -NewName 'GROUPS nightly (2)' -OnConflict Fail -Force }
        $apart = Show-Outcome { Import-NDMJobCollection -Path ./changed.json -Update -OnConflict Rename -Force }
        \"[$fail,$rename,$update,$free,$apart]\"",
    );
    assert_eq!(id(&told[0]), "NDM.NameTaken,Import-NDMJobCollection");
    assert!(message(&told[0]).contains("'Groups nightly' already (7)"), "{told}");
    let names: Vec<&str> = told[1]["values"].as_array().unwrap().iter().map(|v| v["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Groups nightly (2)", "Groups nightly (3)"]);
    assert_eq!(
        (told[2]["values"][0]["Id"].as_i64(), told[2]["values"][0]["Result"].as_str()),
        (Some(7), Some("Updated"))
    );
    assert_eq!(id(&told[3]), "NDM.NameTaken,Import-NDMJobCollection", "case doesn't count");
    assert!(id(&told[4]).contains("AmbiguousParameterSet"), "{told}");
}

#[test]
fn what_another_server_knows_must_be_mapped() {
    let (room, other) = (Room::new(), Sandbox::start(&[]));
    let map = r#"{"provider":{"6":"16","2":"2"},"providerName":{"HR database":"HR SQL","Demo AD":"Demo AD"},"container":{"OU=Groups,DC=demo,DC=example":"OU=Groups,DC=other"},"containerId":{"3d0c1c52-6a0e-4a55-9a58-0f6f1c7f0d11":"3d0c1c52-6a0e-4a55-9a58-0f6f1c7f0d12"},"owner":{"3d0c1c52-6a0e-4a55-9a58-0f6f1c7f0d11":"3d0c1c52-6a0e-4a55-9a58-0f6f1c7f0d13"}}"#;
    std::fs::write(room.path("map.json"), map).unwrap();
    let script = r#"
        Export-NDMJobCollection -Id 7 -Path ./portable.json -Portable; Export-NDMJobCollection -Id 7 -Path ./here.json
        Connect-Sandbox 'OTHER'
        $refused = Show-Outcome { Import-NDMJobCollection -Path ./portable.json -NewName 'A' -Force }
        $half = Show-Outcome { Import-NDMJobCollection -Path ./portable.json -NewName 'A' -Force -ReferenceMap @{ provider = @{ '6' = 16; '2' = 2 } } }
        $unknown = Show-Outcome { Import-NDMJobCollection -Path ./portable.json -NewName 'A' -Force -ReferenceMap @{ colour = @{ a = 'b' } } }
        $file = Show-Outcome { Import-NDMJobCollection -Path ./portable.json -NewName 'A' -Force -ReferenceMap ./map.json }
        $table = Get-Content -Raw ./map.json | ConvertFrom-Json -AsHashtable
        $hash = Show-Outcome { Import-NDMJobCollection -Path ./here.json -NewName 'B' -Confirm:$false -ReferenceMap $table }
        $kept = Show-Outcome { Import-NDMJobCollection -Path ./here.json -NewName 'C' -Confirm:$false -KeepReference }
        $other = Show-Outcome { Import-NDMJobCollection -Path ./here.json -Update -Confirm:$false -ReferenceMap ./map.json }
        $mapped = Show-Outcome { Compare-NDMJobCollection -ReferenceId 21 -DifferenceId 22; Compare-NDMJobCollection -ReferencePath ./here.json -Id 21 }
        "[$refused,$half,$unknown,$file,$hash,$kept,$other,$mapped]"
    "#;
    let told = room.told(&script.replace("OTHER", &other.url));
    let portable = room.read("portable.json");
    assert!(!portable.contains("fingerprint") && portable.contains("\"exportedFrom\""));
    let ids =
        portable.lines().map(str::trim).filter(|l| ["\"id\": ", "\"jobId\": "].iter().any(|id| l.starts_with(id)));
    assert!(ids.clone().count() > 30 && ids.clone().all(|line| line.contains(": 0")), "{:?}", ids.collect::<Vec<_>>());
    assert_eq!(id(&told[0]), "NDM.UnmappedReferences,Import-NDMJobCollection");
    for expected in [&room.sandbox.url, "provider '6', '2'", "container 'OU=Groups,DC=demo,DC=example'", "owner '3d0c"]
    {
        assert!(message(&told[0]).contains(expected), "{expected}: {}", message(&told[0]));
    }
    assert!(
        message(&told[1]).contains("container") && !message(&told[1]).contains("provider '"),
        "{}",
        message(&told[1])
    );
    assert_eq!(id(&told[2]), "NDM.DocumentBadMap,Import-NDMJobCollection");
    for done in [3, 4, 5] {
        assert_eq!(told[done]["values"][0]["Result"], "Created", "{:#}", told[done]);
    }
    // The same number and name there: another server's ids are never taken for this one's.
    assert_eq!(told[6]["values"][0]["Result"], "Updated", "{:#}", told[6]);
    let differences = told[7]["values"].as_array().unwrap();
    let said = |item: &str, now: &str| differences.iter().any(|d| d["Item"] == item && d["Now"] == now);
    assert!(said("SourceProvider", "16") && said("Destination.Container", "OU=Groups,DC=other"), "{differences:#?}");
    assert!(said("JobOwnerIds", "3d0c1c52-6a0e-4a55-9a58-0f6f1c7f0d13"), "{differences:#?}");
    let names: Vec<&Value> = differences.iter().filter(|d| d["Property"] == "name").collect();
    assert_eq!(names.len(), 2, "{names:#?}");
}

#[test]
fn text_copied_from_a_web_page_is_read_and_damage_in_it_is_told() {
    let room = Room::new();
    let told = room.told(
        "Export-NDMJobCollection -Id 7 -Path ./groups.json
        $text = [System.IO.File]::ReadAllText(\"$PWD/groups.json\")
        $outside = [regex]::Replace($text, '(?m)^ +', { param($m) [string] [char] 0xA0 * $m.Length })
        [System.IO.File]::WriteAllText(\"$PWD/web.json\", $outside)
        [System.IO.File]::WriteAllText(\"$PWD/damaged.json\", $outside.Replace('OU=Groups', \"OU=Our$([char] 0xA0)Groups\"))
        [System.IO.File]::WriteAllText(\"$PWD/meant.json\", $text.Replace('One group per', \"One$([char] 0xA0)group per\"))
        $same = Show-Outcome { Compare-NDMJobCollection -ReferencePath ./groups.json -DifferencePath ./web.json }
        $idle = Show-Outcome { Import-NDMJobCollection -Path ./web.json -Update -Force }
        $refused = Show-Outcome { Import-NDMJobCollection -Path ./damaged.json -Update -Confirm:$false }
        $forced = Show-Outcome { Import-NDMJobCollection -Path ./damaged.json -NewName 'Forced' -Force }
        $meant = Show-Outcome { Import-NDMJobCollection -Path ./meant.json -Update -Confirm:$false }
        $found = Show-Outcome { Test-NDMJobCollection -Path ./damaged.json }
        \"[$same,$idle,$refused,$forced,$meant,$found]\"",
    );
    assert_eq!(told[0]["count"], 0, "{told:#}");
    assert!(told[0]["warnings"][0].as_str().unwrap().contains("no-break spaces where JSON allows only plain ones"));
    assert_eq!(told[1]["values"][0]["Result"], "Unchanged", "{told:#}");
    assert_eq!(id(&told[2]), "NDM.DocumentNoBreakSpaces,Import-NDMJobCollection");
    assert_eq!(told[3]["values"][0]["Result"], "Created", "{told:#}");
    assert_eq!(told[4]["values"][0]["Result"], "Updated", "an editor may well write one: {told:#}");
    let codes: Vec<&str> = told[5]["values"].as_array().unwrap().iter().map(|f| f["Code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"NoBreakSpaceOutside") && codes.contains(&"NoBreakSpaceInside"), "{codes:?}");
}

#[test]
fn mistakes_are_found_with_their_lines_and_without_a_server() {
    let room = Room::new();
    let told = room.told(
        "Export-NDMJobCollection -Id 3 -Path ./hr.json; Export-NDMJobCollection -Id 7 -Path ./groups.json
        Export-NDMJobCollection -Id 7 -Path ./portable.json -Portable
        Edit-File groups.json broken.json '\"onFailure\": \"Abort\",' '\"onFailure\": Abort\"hush-hush\"'
        $lines = [System.IO.File]::ReadAllLines(\"$PWD/hr.json\")
        $at = [Array]::FindLastIndex($lines, [Predicate[string]] { $args[0].Contains('\"onFailure\": \"Continue\"') })
        $lines[$at] = $lines[$at].Replace('Continue', 'Abort')
        [System.IO.File]::WriteAllLines(\"$PWD/wrong.json\", $lines)
        Disconnect-NDM
        $files = Show-Outcome { Get-Item ./groups.json, ./wrong.json, ./broken.json | Test-NDMJobCollection }
        $quiet = @(Get-Item ./hr.json, ./groups.json, ./wrong.json, ./broken.json | Test-NDMJobCollection -Quiet) -join ' '
        $update = @((Test-NDMJobCollection ./hr.json -ForUpdate -Quiet), (Test-NDMJobCollection ./groups.json -ForUpdate -Quiet), (Test-NDMJobCollection ./portable.json -ForUpdate -Quiet)) -join ' '
        $create = @((Test-NDMJobCollection ./groups.json -ForCreate -Quiet), (Test-NDMJobCollection ./portable.json -ForCreate -Quiet)) -join ' '
        $object = Get-Content -Raw ./wrong.json | ConvertFrom-Json
        $objects = Show-Outcome { $object | Test-NDMJobCollection }
        $nothing = Show-Outcome { Test-NDMJobCollection; Test-NDMJobCollection -Path ./none.json }
        $table = Test-NDMJobCollection ./wrong.json | Out-String -Width 160
        \"[$files,`\"$quiet`\",`\"$update`\",`\"$create`\",$($at + 1),$objects,$nothing,$(ConvertTo-Json $table)]\"",
    );
    let findings = told[0]["values"].as_array().unwrap();
    let line = told[4].as_u64();
    let disagree = findings.iter().find(|f| f["Code"] == "CopiesDisagree").unwrap();
    assert_eq!(disagree["Line"].as_u64(), line, "{disagree}");
    assert_eq!(
        (disagree["Severity"].as_str(), disagree["File"].as_str()),
        (Some("Error"), Some(room.path("wrong.json").as_str()))
    );
    let broken = findings.iter().find(|f| f["Code"] == "NotJson").unwrap();
    assert!(broken["Line"].as_u64() > Some(10) && !broken["Message"].as_str().unwrap().contains("hush"), "{broken}");
    // Left out is where a secret belongs in a file to look at, and not in one to send.
    let placeholder = findings.iter().find(|f| f["Code"] == "PlaceholderLeft").unwrap();
    assert_eq!(placeholder["Severity"], "Information");
    assert_eq!(told[1], "True True False False");
    assert_eq!(told[2], "False True False");
    assert_eq!(told[3], "False True");
    let object = told[5]["values"].as_array().unwrap();
    assert!(object.iter().any(|f| f["Code"] == "CopiesDisagree" && f["Line"].is_null()), "{object:#?}");
    let ids: Vec<&str> = told[6]["errors"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"NDM.File,Test-NDMJobCollection"), "{ids:?}");
    assert!(ids.contains(&"NDM.InvalidArgument,Test-NDMJobCollection"), "{ids:?}");
    assert!(told[7].as_str().unwrap().lines().any(|line| line.contains("----")), "{told}");
}

#[test]
fn a_comparison_takes_files_ids_and_objects() {
    let room = Room::new();
    let told = room.told(
        "Export-NDMJobCollection -Id 3 -Path ./hr.json; Export-NDMJobCollection -Id 3 -Path ./clear.json -IncludeSecret 3>$null
        Edit-File clear.json other.json 'Demo-Only' 'Another-Planted'
        $object = Get-Content -Raw ./hr.json | ConvertFrom-Json
        $object.isNotificationEnabled = $true
        $redacted = Show-Outcome { Compare-NDMJobCollection ./hr.json ./clear.json; Compare-NDMJobCollection ./other.json ./hr.json }
        $secret = Show-Outcome { Compare-NDMJobCollection ./clear.json ./other.json }
        $objects = Show-Outcome { Compare-NDMJobCollection -ReferenceId 3 -DifferenceObject $object; Compare-NDMJobCollection -ReferenceObject $object -DifferencePath ./hr.json }
        $piped = Show-Outcome { Get-NDMJobCollection -Name 'HR*' | Compare-NDMJobCollection -ReferencePath ./hr.json }
        $run = Show-Outcome { Compare-NDMJobCollection ./hr.json -Id 3 -IncludeRunState }
        $wrong = Show-Outcome { Compare-NDMJobCollection ./hr.json; Compare-NDMJobCollection ./hr.json -ReferenceId 3 -Id 3; Compare-NDMJobCollection ./hr.json -Id 99 }
        $table = Compare-NDMJobCollection ./hr.json -Id 12 | Out-String -Width 160
        Disconnect-NDM
        $offline = Show-Outcome { Compare-NDMJobCollection ./hr.json ./clear.json }
        \"[$redacted,$secret,$objects,$piped,$run,$wrong,$offline,$(ConvertTo-Json $table)]\"",
    );
    assert_eq!((told[0]["count"].as_u64(), told[0]["errors"].as_array().map(Vec::len)), (Some(0), Some(0)), "{told:#}");
    let secret = told[1]["values"].as_array().unwrap();
    assert_eq!(secret.len(), 1);
    assert_eq!((secret[0]["Then"].as_str(), secret[0]["Now"].as_str()), (Some("a secret"), Some("another secret")));
    assert!(!told.to_string().contains("Another-Planted"), "{told}");
    let objects = told[2]["values"].as_array().unwrap();
    assert_eq!(objects.len(), 2, "{objects:#?}");
    assert_eq!(
        (objects[0]["Property"].as_str(), objects[0]["Now"].as_str()),
        (Some("isNotificationEnabled"), Some("true"))
    );
    assert_eq!((objects[1]["Then"].as_str(), objects[1]["Kind"].as_str()), (Some("true"), Some("Collection")));
    assert_eq!((told[3]["count"].as_u64(), told[3]["errors"].as_array().map(Vec::len)), (Some(0), Some(0)), "{told:#}");
    let run: Vec<&str> =
        told[4]["values"].as_array().unwrap().iter().map(|d| d["Property"].as_str().unwrap()).collect();
    assert_eq!(run, ["modified"]);
    let wrong: Vec<&str> = told[5]["errors"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(wrong.iter().filter(|id| id.starts_with("NDM.InvalidArgument")).count(), 2, "{wrong:?}");
    assert!(wrong.contains(&"NDM.NotFound,Compare-NDMJobCollection"), "{wrong:?}");
    assert_eq!(told[6]["errors"], serde_json::json!([]));
    assert!(told[7].as_str().unwrap().lines().any(|line| line.contains("----")), "{told}");
}

#[test]
fn files_and_servers_that_are_no_collections_are_refused() {
    let room = Room::new();
    for (name, text) in [
        ("cut.json", "{\"jobCollectionInfo\": {\"name\": \"x\", \"secret\": \"hush-hush"),
        ("job.json", "{\"jobInfo\":{\"name\":\"x\"}}"),
        ("answer.json", "{\"data\":{},\"status\":0}"),
        ("list.json", "[]"),
    ] {
        std::fs::write(room.path(name), text).unwrap();
    }
    std::fs::write(room.path("utf16.json"), [0xff, 0xfe, b'{', 0]).unwrap();
    let told = room.told(
        "$errors = Show-Outcome { Get-ChildItem ./*.json | Sort-Object Name | Import-NDMJobCollection -Force }
        Disconnect-NDM
        $offline = Show-Outcome { Import-NDMJobCollection ./job.json -Force; Export-NDMJobCollection 3 ./x.json }
        \"[$errors,$offline]\"",
    );
    let said: Vec<String> =
        told[0]["errors"].as_array().unwrap().iter().map(|e| format!("{} {}", e["id"], e["message"])).collect();
    assert_eq!(said.len(), 5, "{said:#?}");
    for expected in ["no JSON (line 1", "single job", "whole answer", "no JSON object", "not UTF-8"] {
        assert!(said.iter().any(|text| text.contains(expected)), "{expected}: {said:#?}");
    }
    assert!(!said.join("").contains("hush"));
    assert!(
        told[1]["errors"].as_array().unwrap().iter().all(|e| e["id"].as_str().unwrap().starts_with("NDM.NotConnected"))
    );
    assert_eq!(room.changes().len(), 0);
}

#[test]
fn planted_secrets_come_out_nowhere() {
    let room = Room::new();
    let run = room.run(
        r#"Export-NDMJobCollection -Id 12 -Path ./clear.json -IncludeSecret 3>$null
        Edit-File clear.json a.json 'Static:value=Demo-Only-Cloud-Passw0rd' 'Static:value=Hush1-x'
        Edit-File a.json b.json 'Option Strict Off' 'Dim pwd As String = \"Hush2-x\"'
        Edit-File b.json a.json '\"name\": \"Demo\",' '\"name\": \"Demo\", \"clientSecret\": \"Hush3-x\",'
        Edit-File a.json b.json '"timeStampField": "",' '"timeStampField": "Server=a;Password=Hush4-x;User=b",'
        Edit-File b.json a.json '"key": "Destination.ChangeServiceAccount",' '"key": "Destination.ChangeServiceAccount", "was": "abc##defg#SHVzaDUteHh4eA==",'
        $VerbosePreference = 'Continue'; $DebugPreference = 'Continue'; $InformationPreference = 'Continue'
        & {
            Import-NDMJobCollection -Path ./a.json -NewName 'Planted' -Confirm:$false
            Export-NDMJobCollection -Id 21 -Path ./planted.json -PassThru
            Export-NDMJobCollection -Id 21 -Path ./portable.json -Portable -PassThru
            Import-NDMJobCollection -Path ./portable.json -NewName 'Again'
            Import-NDMJobCollection -Path ./a.json -Update -Id 21 -WhatIf
            Edit-File a.json c.json 'Hush' 'Hush9'
            Import-NDMJobCollection -Path ./c.json -NewName 'Planted' -OnConflict Update -WhatIf
            Compare-NDMJobCollection -ReferencePath ./c.json -Id 21
            Compare-NDMJobCollection -ReferencePath ./c.json -Id 3
            Test-NDMJobCollection -Path ./c.json -ForCreate
            Import-NDMJobCollection -Path ./planted.json -NewName 'Loud' -Confirm:$false -SecretMap @{ 'no.such' = 'Hush6-x' }
            Import-NDMJobCollection -Path ./planted.json -Update -KeepExistingSecret -Confirm:$false
        } *>&1 | Format-List -Property * -Force | Out-String -Width 400
        $Error | ForEach-Object { $_ | Format-List -Property * -Force; $_.Exception.Data | ConvertTo-Json } | Out-String -Width 400"#,
    );
    let text = run.text();
    assert!(Path::new(&room.path("portable.json")).exists(), "{text}");
    for hidden in ["Hush", "SHVzaD"] {
        assert!(
            !text.contains(hidden),
            "{}",
            text.lines().filter(|l| l.contains(hidden)).collect::<Vec<_>>().join("\n")
        );
        assert!(!room.read("planted.json").contains(hidden) && !room.read("portable.json").contains(hidden));
    }
    assert!(room.read("c.json").matches("Hush9").count() >= 4, "the secrets were planted");
    for said in ["Planted", "another secret", "DocumentNoSuchSecret", "Unchanged"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}
