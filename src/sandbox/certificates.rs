//! Trusted certificates. Certificates are not parsed: what is not known of one (subject, dates) is made up.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::body::Body;
use super::state::World;
use super::tables::{Form, Kind, Row, merge, note, paged, pick, text};
use super::wire::{Call, Handled, Reply, Routed, guid};
use super::{clock, errors};

const TABLE: &str = "certificates";
/// A real one, self-signed, so that a download can be opened.
const SEED: &str = "MIIBmjCCAUGgAwIBAgIUAOXUFEPxRkTJ6wReW0sC/DCBwj8wCgYIKoZIzj0EAwIwIzEPMA0GA1UEAwwGT2xkIENBMRAwDgYDVQQKDAdQYW5vcGx5MB4XDTI2MTEyMzAyNTExNVoXDTQ2MTExODAyNTExNVowIzEPMA0GA1UEAwwGT2xkIENBMRAwDgYDVQQKDAdQYW5vcGx5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnfphVd/4MLtZ9LEiDeeNYpxTCae+4oEysDqvB3d2dyKDhgrUQEpl7i496EGiZLLQmzId3YFreKMC2Jv/56sD96NTMFEwHQYDVR0OBBYEFCK7b3g87OJKNKrfZWtPsncQlksKMB8GA1UdIwQYMBaAFCK7b3g87OJKNKrfZWtPsncQlksKMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgBq7gle8UlkFseH9YPGth2EzQVwo9GPGvpDvehZqg9BQCIAFvk0IjSwBM/kvuZC1iUIANfl8eGS4UwPsFN5nP0rY3";
const FROM_DATA: Form = Form {
    model: "JIM.Web.Models.Api.AddCertificateFromDataRequest",
    required: &[("name", Kind::Text(255)), ("certificateDataBase64", Kind::Text(1_048_576))],
    optional: &[("notes", Kind::Text(2000))],
};
const FROM_FILE: Form = Form {
    model: "JIM.Web.Models.Api.AddCertificateFromFileRequest",
    required: &[("name", Kind::Text(255)), ("filePath", Kind::Text(4096))],
    optional: &[("notes", Kind::Text(2000))],
};
const UPDATE: Form = Form {
    model: "JIM.Web.Models.Api.UpdateCertificateRequest",
    required: &[("name", Kind::Text(255))],
    optional: &[("notes", Kind::Text(2000)), ("isEnabled", Kind::Flag)],
};

pub(super) fn seed(world: &mut World) {
    let at = world.started;
    for (name, days) in [("Old CA", -20), ("Internal CA", 20), ("Directory CA", 2000)] {
        let mut row = certificate(name, SEED, at, days);
        row["createdBy"] = json!("System");
        world.tables.add(TABLE, row);
    }
}

/// `days`: how long it is still valid.
fn certificate(name: &str, data: &str, at: DateTime<Utc>, days: i64) -> Value {
    let hash = Sha256::digest(format!("{name}{data}").as_bytes());
    let thumbprint: String = hash.iter().take(20).map(|byte| format!("{byte:02X}")).collect();
    json!({
        "id": Uuid::new_v4(),
        "name": name,
        "thumbprint": thumbprint,
        "subject": format!("CN={name}"),
        "issuer": format!("CN={name}"),
        "serialNumber": thumbprint.get(..16),
        "validFrom": clock::stored(at - TimeDelta::days(365)),
        "validTo": clock::stored(at + TimeDelta::days(days)),
        "sourceType": "Uploaded",
        "filePath": null,
        "isEnabled": true,
        "createdAt": clock::stored(at),
        "createdBy": null,
        "notes": null,
        "isExpired": days < 0,
        "isExpiringSoon": (0..=30).contains(&days),
        "daysUntilExpiry": days,
        "data": data,
    })
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["certificates", rest @ ..] = segments else {
        return None;
    };
    let all = |world: &World, enabled: bool| -> Vec<Value> {
        let rows = world.tables.rows(TABLE).iter();
        rows.filter(|row| !enabled || row["isEnabled"] == true).map(header).collect()
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => paged(call, all(world, false), 25),
        ("GET", ["enabled"]) => Ok(Reply::ok(&json!(all(world, true)))),
        ("POST", ["upload"]) => upload(world, call),
        ("POST", ["file"]) => from_file(world, call),
        ("GET", [id]) => found(world, guid(id)?).map(|row| Reply::ok(&detail(row))),
        ("PATCH", [id]) => update(world, call, guid(id)?),
        ("DELETE", [id]) => delete(world, call, guid(id)?),
        ("GET", [id, "validate"]) => found(world, guid(id)?).map(|row| Reply::ok(&validity(row))),
        ("GET", [id, "download"]) => found(world, guid(id)?).map(download),
        _ => return None,
    })
}

/// Problem details here, unlike anywhere else (observed).
fn missing() -> Reply {
    errors::problem(StatusCode::NOT_FOUND, "15.5.5").with("api-supported-versions", "1.0")
}

fn found(world: &World, id: Uuid) -> Result<&Row, Reply> {
    let mut rows = world.tables.rows(TABLE).iter();
    rows.find(|row| row["id"] == json!(id)).ok_or_else(missing)
}

fn header(row: &Row) -> Value {
    pick(
        row,
        &[
            "id",
            "name",
            "thumbprint",
            "subject",
            "issuer",
            "validFrom",
            "validTo",
            "sourceType",
            "isEnabled",
            "isExpired",
            "isExpiringSoon",
            "daysUntilExpiry",
        ],
    )
}

fn detail(row: &Row) -> Value {
    let mut shown = row.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.shift_remove("data");
    }
    shown
}

fn validity(row: &Row) -> Value {
    let errors: &[&str] = if row["isExpired"] == true { &["The certificate has expired."] } else { &[] };
    let warnings: &[&str] =
        if row["isExpiringSoon"] == true { &["The certificate expires within 30 days."] } else { &[] };
    json!({"isValid": errors.is_empty(), "errors": errors, "warnings": warnings})
}

fn download(row: &Row) -> Reply {
    let bytes = BASE64_STANDARD.decode(text(row, "data")).unwrap_or_default();
    let mut reply = Reply::empty(StatusCode::OK).with("api-supported-versions", "1.0");
    reply.body = bytes.into();
    reply.headers.push((CONTENT_TYPE, "application/x-x509-ca-cert".to_owned()));
    let name = format!("attachment; filename=\"{}.cer\"", text(row, "name"));
    reply.headers.push((CONTENT_DISPOSITION, name));
    reply
}

fn add(world: &mut World, call: &Call, row: Value, reason: Option<String>) -> Handled {
    let known = world.tables.rows(TABLE).iter();
    let same = |other: &Row| other["thumbprint"] == row["thumbprint"];
    if known.into_iter().any(same) {
        return Err(errors::bad_request(call, "A certificate with this thumbprint already exists."));
    }
    let mut row = row;
    row["createdBy"] = json!(call.actor.name);
    let answer = detail(&row);
    world.tables.add(TABLE, row);
    note(world, call, ("TrustedCertificate", "Create"), text(&answer, "name"), reason);
    let place = format!("/api/v1/certificates/{}", text(&answer, "id"));
    Ok(Reply::created(&answer, place))
}

/// DER, or PEM with its dashes.
fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) || bytes.starts_with(b"-----BEGIN CERTIFICATE-----")
}

fn upload(world: &mut World, call: &Call) -> Handled {
    let sent = FROM_DATA.create(call)?;
    let data = text(&sent.fields, "certificateDataBase64").to_owned();
    let bytes = BASE64_STANDARD
        .decode(&data)
        .map_err(|_| errors::bad_request(call, "The certificate data is not valid Base64."))?;
    if !looks_like_one(&bytes) {
        return Err(errors::bad_request(call, "The data could not be read as an X.509 certificate."));
    }
    let mut row = certificate(text(&sent.fields, "name"), &data, call.now, 730);
    row["notes"] = sent.fields["notes"].clone();
    add(world, call, row, sent.reason)
}

fn from_file(world: &mut World, call: &Call) -> Handled {
    let sent = FROM_FILE.create(call)?;
    let path = text(&sent.fields, "filePath");
    if !super::seed::file_exists(path) {
        return Err(errors::not_found(call, format!("Certificate file '{path}' not found.")));
    }
    let mut row = certificate(text(&sent.fields, "name"), SEED, call.now, 730);
    row["sourceType"] = json!("FilePath");
    row["filePath"] = json!(path);
    row["notes"] = sent.fields["notes"].clone();
    add(world, call, row, sent.reason)
}

/// 204: the certificate has to be read again.
fn update(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let sent = UPDATE.update(call)?;
    let name = text(found(world, id)?, "name").to_owned();
    let mut rows = world.tables.rows_mut(TABLE).iter_mut();
    if let Some(row) = rows.find(|row| row["id"] == json!(id)) {
        merge(row, sent.fields);
    }
    note(world, call, ("TrustedCertificate", "Update"), &name, sent.reason);
    Ok(Reply::no_content())
}

fn delete(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let name = text(found(world, id)?, "name").to_owned();
    world.tables.retain(TABLE, |row| row["id"] != json!(id));
    note(world, call, ("TrustedCertificate", "Delete"), &name, None);
    Ok(Reply::no_content())
}

/// The certificate that directories show here.
pub(super) fn presented(world: &World) -> Value {
    let row = certificate("dc1.panoply.example", SEED, world.started, 300);
    json!({
        "host": "dc1.panoply.example",
        "port": 636,
        "failureReason": "UntrustedIssuer",
        "subject": row["subject"],
        "issuer": row["issuer"],
        "subjectAlternativeNames": ["dc1.panoply.example"],
        "validFrom": row["validFrom"],
        "validTo": row["validTo"],
        "thumbprint": row["thumbprint"],
        "signatureAlgorithm": "sha256ECDSA",
        "isSelfSigned": true,
        "issuerThumbprint": row["thumbprint"],
        "isIssuerCertificateAvailable": true,
        "remediation": null,
    })
}

/// Trusts what the server presents, if it is what the caller saw: 409 otherwise, 200 when it was trusted before.
pub(super) fn trust(world: &mut World, call: &Call, system: i64) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.TrustServerCertificateRequest")?;
    let expected = body.text("thumbprint")?.unwrap_or_default();
    super::connected_systems::found(world, call, system)?;
    let now = text(&presented(world), "thumbprint").to_owned();
    let answer = |outcome: &str, message: Option<&str>, certificate: Value| {
        json!({
            "outcome": outcome,
            "message": message,
            "certificate": certificate,
            "expectedThumbprint": expected,
            "presentedThumbprint": now,
        })
    };
    if !now.eq_ignore_ascii_case(&expected) {
        let body = answer("ThumbprintMismatch", Some("The server now presents another certificate."), Value::Null);
        return Err(Reply::json(StatusCode::CONFLICT, &body));
    }
    let mut rows = world.tables.rows(TABLE).iter();
    if let Some(row) = rows.find(|row| row["thumbprint"] == json!(now)) {
        return Ok(Reply::ok(&answer("AlreadyTrusted", None, detail(row))));
    }
    let mut row = certificate("dc1.panoply.example", SEED, world.started, 300);
    row["createdBy"] = json!(call.actor.name);
    let body = answer("Trusted", None, detail(&row));
    world.tables.add(TABLE, row);
    note(world, call, ("TrustedCertificate", "Create"), "dc1.panoply.example", None);
    Ok(Reply::json(StatusCode::CREATED, &body))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn a_certificate_is_added_disabled_and_deleted() {
        let mut world = world();
        let body = json!({"name": "New", "certificateDataBase64": SEED}).to_string();
        let (status, made) = ask(&mut world, "POST", "/certificates/upload", &body);
        assert_eq!((status, &made["isEnabled"]), (201, &json!(true)));
        assert_eq!(ask(&mut world, "POST", "/certificates/upload", &body).0, 400, "twice");
        assert_eq!(ask(&mut world, "POST", "/certificates/upload", &body.replace(SEED, "AAAA")).0, 400);
        let path = format!("/certificates/{}", text(&made, "id"));
        assert_eq!(ask(&mut world, "PATCH", &path, r#"{"isEnabled": false}"#).0, 204);
        assert_eq!(ask(&mut world, "GET", &path, "").1["isEnabled"], false);
        let (_, enabled) = ask(&mut world, "GET", "/certificates/enabled", "");
        assert_eq!(enabled.as_array().map(Vec::len), Some(3));
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
        assert_eq!(ask(&mut world, "GET", &path, "").0, 404);
        let missing = r#"{"name": "X", "filePath": "ca/missing.pem"}"#;
        assert_eq!(ask(&mut world, "POST", "/certificates/file", missing).0, 404);
    }

    #[test]
    fn only_what_was_seen_is_trusted() {
        let mut world = world();
        let base = "/synchronisation/connected-systems/3/server-certificate";
        let seen = ask(&mut world, "GET", base, "").1["certificate"]["thumbprint"].clone();
        let trust = format!("{base}/trust");
        let body = json!({"thumbprint": seen}).to_string();
        assert_eq!(ask(&mut world, "POST", &trust, r#"{"thumbprint": "00"}"#).0, 409);
        assert_eq!(ask(&mut world, "POST", &trust, &body).0, 201);
        assert_eq!(ask(&mut world, "POST", &trust, &body).0, 200);
    }
}
