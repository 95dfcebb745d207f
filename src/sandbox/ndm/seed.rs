//! What this server holds at the start: three collections and a stand-alone job, invented, in the documented shape
//! with its oddities (settings that occur twice, two copies of each job that disagree, dates of varying precision),
//! and with a made-up secret in every place where a real document has one.
//!
//! | id | collection | jobs |
//! |---|---|---|
//! | 3 | HR to Active Directory | joiners (with a static password), changes |
//! | 7 | Groups nightly | groups from a table, with a script |
//! | 12 | Cloud accounts | Entra accounts (with a mail provider's password and certificate), leavers |

use serde_json::{Value, json};

use super::json::Node;
use super::store::Store;

const SCRIPT: &str = "Option Strict Off\r\n\r\nImports System\r\nImports Microsoft.VisualBasic\r\n\r\nModule DemoCode\r\n\r\n'<--- generated definitions --->\t\r\n\r\n    Sub Job_RowChanging(ByVal source As Object, ByVal args As JobEventArgs) Handles Job.RowChanging\r\n        ' Names are trimmed before they are compared & written\r\n        args.Row(\"sn\") = Trim(args.Row(\"sn\"))\r\n    End Sub\r\n\r\nEnd Module ' DemoCode\r\n";
const OWNER: &str = "3d0c1c52-6a0e-4a55-9a58-0f6f1c7f0d11";
const POLICY: &str = r#"{"passwordLength":12,"includeUppercaseAlphabets":true,"includeLowercaseAlphabets":true,"includeDigits":true,"includeSpecialSymbols":true,"specialSymbols":"%^&*(","excludeSimilarSymbols":false,"managerNotification":false,"passwordType":0}"#;

/// Two people's worth of a job: what goes where.
struct Plan {
    name: &'static str,
    description: &'static str,
    source: Provider,
    destination: Provider,
    container: &'static str,
    /// 1: users, 4: groups.
    object_type: i64,
    table: &'static str,
    on_failure: &'static str,
    fields: Vec<Value>,
    /// Key and value of settings that only this job has.
    more: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Copy)]
struct Provider {
    id: &'static str,
    /// The data source's or identity store's own name.
    name: &'static str,
    kind: &'static str,
    directory: bool,
}

const SHEET: Provider = Provider { id: "5", name: "HR sheet", kind: "Microsoft Excel", directory: false };
const TABLE: Provider = Provider { id: "6", name: "HR database", kind: "Microsoft SQL Server", directory: false };
const FOREST: Provider = Provider { id: "2", name: "Demo AD", kind: "Active Directory", directory: true };
const ENTRA: Provider = Provider { id: "3", name: "Demo Entra", kind: "Microsoft Entra ID", directory: true };

pub(super) fn store() -> Store {
    let mut store = Store::default();
    let dates = ("2026-03-02T08:15:30.5Z", "2026-03-02T08:15:29Z");
    add(
        &mut store,
        3,
        collection("HR to Active Directory", "People from HR, every night", dates, vec![joiners(), changes()]),
    );
    let dates = ("2026-04-11T17:02:09.127Z", "2026-04-11T17:01:58.33Z");
    add(&mut store, 7, collection("Groups nightly", "Groups from the HR database", dates, vec![groups()]));
    let dates = ("2026-05-20T06:00:00Z", "2026-05-20T05:59:41.9Z");
    add(&mut store, 12, collection("Cloud accounts", "Entra ID: comers & leavers", dates, vec![cloud(), leavers()]));
    if let Some(single) = Node::parse(&job(&contractors(), 0, 1, "2026-06-01T12:00:00.04Z").to_string()) {
        // A seed that is refused would be missed by the tests.
        let _ = store.create_job(single);
    }
    store.templates.push("New employees (template)");
    // As in the documented sample, the first collection that is created gets the number 21.
    store.skip_to_collection(21);
    store
}

fn add(store: &mut Store, id: i64, document: Value) {
    store.skip_to_collection(id);
    if let Some(document) = Node::parse(&document.to_string()) {
        let _ = store.create(document);
    }
}

fn collection(name: &str, description: &str, (created, modified): (&str, &str), jobs: Vec<Plan>) -> Value {
    let numbered = || jobs.iter().zip(1..);
    let summaries: Vec<Value> = numbered().map(|(plan, order)| info(plan, order, 2, created, true)).collect();
    let documents: Vec<Value> = numbered().map(|(plan, order)| job(plan, order, 2, created)).collect();
    json!({
        "isTemplate": false,
        "description": null,
        "isNotificationEnabled": false,
        "notificationSendIndividualEmail": false,
        "notifyWhen": 3,
        "notificationRecipients": "",
        "jobCollectionInfo": {
            "id": 0,
            "jobCollectionGuid": "",
            "name": name,
            "description": description,
            "totalJobs": 0,
            "timesRun": 0,
            "lastRunDate": null,
            "lastOutCome": "None",
            "lastOutComeDisplayText": null,
            "nextRun": null,
            "created": created,
            "modified": modified,
            "schedule": "0",
            "smartgroupSchedule": null,
            "enabled": false,
            "jobs": summaries,
        },
        "jobs": documents,
        "totalJobs": 0,
        "hasAccess": false,
    })
}

/// Both copies of a job's identity; they disagree as they do in the samples. `kind` 1: stand-alone, 2: in a collection.
fn info(plan: &Plan, order: i64, kind: i64, created: &str, summary: bool) -> Value {
    json!({
        "jobId": 0,
        "templateId": null,
        "jobGuid": null,
        "name": plan.name,
        "type": kind,
        "description": plan.description,
        "sourceProvider": plan.source.name,
        "destinationProvider": plan.destination.name,
        "lastRun": null,
        "lastOutCome": "None",
        "lastOutComeDisplayText": null,
        "nextRun": null,
        "timesRun": 0,
        "created": created,
        "modified": null,
        "schedule": "",
        "smartgroupSchedule": if summary { Value::Null } else { json!("") },
        "enabled": summary,
        "onFailure": plan.on_failure,
        "runOrder": order,
        "isEnable": true,
        "action": 0,
        "collectionId": if summary || kind == 1 { Value::Null } else { json!(0) },
        "scheduledTask": null,
    })
}

fn job(plan: &Plan, order: i64, kind: i64, created: &str) -> Value {
    let object = if plan.object_type == 4 { "Group" } else { "User" };
    json!({
        "isTemplate": false,
        "jobInfo": info(plan, order, kind, created, false),
        "fieldsMap": plan.fields,
        "objectsOption": [{
            "objectType": plan.object_type,
            "id": 0,
            "jobId": 0,
            "isCreate": true,
            "displayName": object,
            "isDelete": false,
            "isSelected": true,
            "containerOption": "1",
            "containerOptionValue": plan.container,
            "createObjectContainerStrategy": 1,
            "isDeprovisioning": false,
            "objectTypeSettings": null,
            "action": 0,
        }],
        "syncQuery": [
            query(plan.object_type, &format!("SELECT * FROM [{}]", plan.table), true),
            query(plan.object_type, &format!("objectClass is exactly \"{}\"", object.to_lowercase()), false),
        ],
        "settings": settings(plan),
        "delimiterSchema": null,
        "sourceSchema": null,
        "destinationSchema": null,
        "hasAccess": kind == 1,
    })
}

fn query(object_type: i64, text: &str, source: bool) -> Value {
    json!({
        "action": 0,
        "id": 0,
        "queryFor": null,
        "objectType": object_type,
        "query": text,
        "queryType": if source { "SQL" } else { "GroupID" },
        "isSource": source,
        "timeStampField": if source { json!("") } else { Value::Null },
        "updateAll": source,
    })
}

fn field(object_type: i64, source: &str, destination: &str, transform: &str, key: bool) -> Value {
    json!({
        "action": 0,
        "sourceField": source,
        "destinationField": destination,
        "id": 0,
        "delimiter": "",
        "transform": transform,
        "forCreateOnly": key,
        "objectType": object_type,
        "isKey": key,
        "options": if destination == "password" { json!(POLICY) } else { Value::Null },
    })
}

fn settings(plan: &Plan) -> Vec<Value> {
    let (source, destination) = (plan.source, plan.destination);
    let flag = |on: bool| if on { "True" } else { "False" };
    let kind = |provider: Provider| if provider.directory { "1" } else { "2" };
    let owner = format!("Sandbox Administrator#{OWNER}");
    let container = format!(
        "{{\r\n  \"id\": \"{OWNER}\",\r\n  \"name\": \"Demo\",\r\n  \"children\": [],\r\n  \"DistinguishedName\": \"{}\",\r\n  \"isSelected\": true\r\n}}",
        plan.container
    );
    let number = |key: &str, value: &str| setting(key, value, "System.Int32");
    let text = |key: &str, value: &str| setting(key, value, "System.String");
    let mut rows = vec![
        number("Source.Type", source.id),
        number("SourceProvider", source.id),
        text("JobOwners", &owner),
        text("JobOwnerIds", OWNER),
        text("Source.Provider", source.id),
        text("Source.ProviderName", source.kind),
        text("Source.ProviderType", kind(source)),
        text("Source.IsDirectoryProvider", flag(source.directory)),
        text("Source.IsTableProvider", flag(!source.directory)),
        text("Source.Table", plan.table),
        // Twice, with different data types.
        number("Destination.Type", destination.id),
        number("DestinationProvider", destination.id),
        text("Destination.Type", destination.id),
        text("Destination.Provider", destination.id),
        text("Destination.ProviderName", destination.kind),
        text("Destination.ProviderType", kind(destination)),
        text("Destination.IsDirectoryProvider", flag(destination.directory)),
        text("Destination.IsTableProvider", flag(!destination.directory)),
        text("Destination.ChangeServiceAccount", ""),
        text("Destination.ContainerDetails", &container),
        text("Destination.ShouldIncludeSubTree", "True"),
        text("Destination.Container", plan.container),
        text("Destination.ScriptingLanguage", "0"),
        text("Destination.ExposedScriptCode", SCRIPT),
        setting("IsNotificationEnabled", "False", "System.Boolean"),
        text("ScheduledTask", ""),
        text("SmartGroupScheduleTask", ""),
    ];
    rows.extend(plan.more.iter().map(|(key, value)| text(key, value)));
    rows
}

fn setting(key: &str, value: &str, data_type: &str) -> Value {
    json!({"action": 0, "id": 0, "key": key, "value": value, "dataType": data_type, "objectType": null})
}

fn joiners() -> Plan {
    Plan {
        name: "HR joiners",
        description: "New people get an account",
        source: SHEET,
        destination: FOREST,
        container: "OU=People,DC=demo,DC=example",
        object_type: 1,
        table: "Joiners$",
        on_failure: "Abort",
        fields: vec![
            field(1, "", "cn", "Join:field=First;separator= ;field=Last", false),
            field(1, "First", "givenName", "", false),
            field(1, "", "sAMAccountName", "Script:text=LCase(Left(Source(\"First\"), 1) & Source(\"Last\"))", true),
            field(1, "Last", "sn", "", false),
            field(1, "", "password", "Static:value=Demo-Only-Passw0rd=1;a&b", false),
        ],
        more: Vec::new(),
    }
}

fn changes() -> Plan {
    Plan {
        name: "HR changes",
        description: "Departments & telephone numbers",
        source: SHEET,
        destination: FOREST,
        container: "OU=People,DC=demo,DC=example",
        object_type: 1,
        table: "People$",
        on_failure: "Continue",
        fields: vec![
            field(1, "Account", "sAMAccountName", "", true),
            field(1, "Dept", "department", "", false),
            field(1, "Phone", "telephoneNumber", "", false),
        ],
        more: Vec::new(),
    }
}

fn groups() -> Plan {
    Plan {
        name: "Groups from table",
        description: "One group per department",
        source: TABLE,
        destination: FOREST,
        container: "OU=Groups,DC=demo,DC=example",
        object_type: 4,
        table: "dbo.Departments",
        on_failure: "Abort",
        fields: vec![
            field(4, "Code", "sAMAccountName", "", true),
            field(4, "", "displayName", "Join:field=Code;separator=_x_;field=Title", false),
            field(4, "Members", "member", "", false),
        ],
        more: vec![("memberkey", "sAMAccountName")],
    }
}

fn cloud() -> Plan {
    Plan {
        name: "Entra accounts",
        description: "Accounts in the cloud",
        source: FOREST,
        destination: ENTRA,
        container: "demo.example",
        object_type: 1,
        table: "",
        on_failure: "Abort",
        fields: vec![
            field(1, "mail", "userPrincipalName", "", true),
            field(1, "displayName", "displayName", "", false),
            field(1, "", "password", "Static:value=Demo-Only-Cloud-Passw0rd", false),
        ],
        more: vec![
            ("Destination.ConfiguredMessagingProvider", "4"),
            ("Destination.ConfiguredMessagingProviderName", "Demo mail"),
            ("Destination.MessagingProviderUserName", "mailer@demo.example"),
            // Looks like what the server encrypts; inside it says that it is a demonstration.
            ("Destination.MessagingProviderPassword", "dM0##x7Qz#VGhpcyBpcyBvbmx5IGEgZGVtb25zdHJhdGlvbg=="),
            ("Destination.MessagingProviderCertificate", "Tm90IGEgY2VydGlmaWNhdGUsIG9ubHkgYSBkZW1vbnN0cmF0aW9u"),
            ("Destination.MessagingProviderCertificatePassword", "dM0##k3Rw#QW5vdGhlciBkZW1vbnN0cmF0aW9u"),
        ],
    }
}

fn leavers() -> Plan {
    Plan {
        name: "Entra leavers",
        description: "Accounts are closed",
        on_failure: "Continue",
        fields: vec![
            field(1, "mail", "userPrincipalName", "", true),
            field(1, "", "accountEnabled", "Static:value=False", false),
        ],
        more: Vec::new(),
        ..cloud()
    }
}

fn contractors() -> Plan {
    Plan { name: "Contractors", description: "A job on its own", table: "Contractors$", ..changes() }
}
