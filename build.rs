//! Reads `catalog/**/*.toml` into the binary: each row is checked against the row types and the
//! catalogue's invariants here, and embedded as one JSON text, parsed when its cmdlet is first used.

#[path = "src/catalog/invariants.rs"]
mod invariants;
#[path = "src/catalog/row.rs"]
#[allow(dead_code)]
mod row;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=catalog");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("catalog");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();

    let lookups: row::Lookups = read(&root.join("lookups.toml"))?;
    let views: row::Views = read(&root.join("views.toml"))?;
    let mut areas: Vec<invariants::Area> = Vec::new();
    let shared = [root.join("lookups.toml"), root.join("views.toml")];
    for file in files.iter().filter(|f| !shared.contains(f)) {
        areas.push(read(file)?);
    }
    let faults = invariants::check(&areas, &lookups);
    if !faults.is_empty() {
        return Err(format!("the catalogue has faults:\n  {}", faults.join("\n  ")).into());
    }

    let mut rows: Vec<(String, String, row::Product, String)> = Vec::new();
    for area in &areas {
        for cmdlet in &area.cmdlet {
            let json = serde_json::to_string(cmdlet)?;
            rows.push((cmdlet.name.clone(), area.area.clone(), area.product, json));
        }
    }
    rows.sort_by_key(|(name, ..)| name.to_lowercase());
    let mut code = String::from("static ROWS: &[Embedded] = &[\n");
    for (name, area, product, json) in &rows {
        writeln!(
            code,
            "    Embedded {{ name: {name:?}, area: {area:?}, product: Product::{product:?}, json: {json:?} }},"
        )?;
    }
    writeln!(code, "];\nstatic LOOKUPS: &str = {:?};", serde_json::to_string(&lookups)?)?;
    writeln!(code, "static VIEWS: &str = {:?};", serde_json::to_string(&views)?)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("catalog.rs"), code)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, Box<dyn Error>> {
    toml::from_str(&fs::read_to_string(file)?).map_err(|e| format!("{}: {e}", file.display()).into())
}
