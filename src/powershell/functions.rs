//! The functions of JimHost.psm1: parameters as the row declares them, and one line that hands the
//! call to the bridge.

use super::quoted;
use crate::catalog::Row;
use crate::catalog::row::{self, Cmdlet, Emit, Impact, Kind, Membership, Method, Parameter};
use std::fmt::Write as _;

/// One function.
pub fn function(row: &Row) -> String {
    let cmdlet = &row.cmdlet;
    let mut text = String::new();
    // Writing to a String doesn't fail.
    let _ = writeln!(text, "function {} {{\n    # .EXTERNALHELP JimHost-help.xml", cmdlet.name);
    let _ = writeln!(text, "    [CmdletBinding({})]", binding(cmdlet));
    for alias in &cmdlet.aliases {
        let _ = writeln!(text, "    [Alias({})]", quoted(alias));
    }
    if let Some(output) = &cmdlet.output {
        let _ = writeln!(text, "    [OutputType({})]", quoted(output));
    }
    let parameters: Vec<String> = cmdlet.parameter.iter().map(parameter).collect();
    if parameters.is_empty() {
        text.push_str("    param()\n");
    } else {
        let _ = writeln!(text, "    param(\n{}\n    )", parameters.join(",\n"));
    }
    if goes_ahead(cmdlet) {
        let _ = writeln!(
            text,
            "    begin {{\n        $state = {}\n        Enable-HostWindow $state $PSBoundParameters\n    }}",
            enter(cmdlet)
        );
        text.push_str("    process { Send-HostCmdlet $state $PSCmdlet.ParameterSetName $PSBoundParameters }\n");
        text.push_str("    end { Complete-HostCmdlet $state }\n}\n");
    } else {
        let _ = writeln!(text, "    begin {{ $state = {} }}", enter(cmdlet));
        text.push_str("    process { Invoke-HostCmdlet $state $PSCmdlet.ParameterSetName $PSBoundParameters }\n}\n");
    }
    text
}

/// Whether items of a pipeline may be in flight together: reads, and changes of what is there already
/// that say nothing unless they are asked to. What is created keeps its order.
fn goes_ahead(cmdlet: &Cmdlet) -> bool {
    let takes_input = cmdlet.parameter.iter().flat_map(|p| p.sets.values()).any(|m| m.by_value || m.by_name);
    let allowed = |request: &row::Request| match request.method {
        Method::Get => true,
        Method::Post => request.read_only,
        Method::Put | Method::Patch | Method::Delete => cmdlet.impact.is_some() && cmdlet.emit != Emit::Always,
    };
    takes_input && cmdlet.handler.is_none() && !cmdlet.request.is_empty() && cmdlet.request.iter().all(allowed)
}

fn binding(cmdlet: &Cmdlet) -> String {
    // Positions are the row's, never the engine's guess.
    let mut parts = vec!["PositionalBinding = $false".to_owned()];
    if let Some(set) = &cmdlet.default_set {
        parts.push(format!("DefaultParameterSetName = {}", quoted(set)));
    }
    if let Some(impact) = cmdlet.impact {
        parts.push("SupportsShouldProcess".into());
        parts.push(format!("ConfirmImpact = '{impact:?}'"));
    }
    parts.join(", ")
}

fn parameter(parameter: &Parameter) -> String {
    let mut lines = Vec::new();
    for (set, membership) in &parameter.sets {
        if let Some(attribute) = attribute(set, membership) {
            lines.push(attribute);
        }
    }
    if !parameter.aliases.is_empty() {
        let names: Vec<String> = parameter.aliases.iter().map(|a| quoted(a)).collect();
        lines.push(format!("[Alias({})]", names.join(", ")));
    }
    lines.extend(validation(parameter));
    // "file" is what PowerShell offers anyway.
    if let Some(source) = parameter.completes.as_deref().filter(|s| *s != "file") {
        lines.push(format!(
            // The engine runs it outside the module: word and bound parameters are its third and fifth argument.
            "[ArgumentCompleter({{ & (Get-Module JimHost) {{ Complete-HostValue @args }} {} $args[2] $args[4] }})]",
            quoted(source)
        ));
    }
    if parameter.kind == Kind::Credential {
        // A user name alone asks for the password, as PowerShell's own cmdlets do.
        lines.push("[System.Management.Automation.Credential()]".into());
    }
    let default = parameter.default.as_ref().map(|d| format!(" = {}", literal(parameter.kind, d))).unwrap_or_default();
    lines.push(format!("[{}] ${}{default}", type_name(parameter.kind), parameter.name));
    lines.iter().map(|line| format!("        {line}")).collect::<Vec<_>>().join("\n")
}

/// A default as PowerShell text: words are quoted, numbers and expressions (`$true`, `@()`) are not.
fn literal(kind: Kind, text: &str) -> String {
    let is_text = matches!(kind, Kind::String) && !text.starts_with(['$', '@', '\'']);
    if is_text { quoted(text) } else { text.to_owned() }
}

/// A `[Parameter()]` that says nothing is left out.
fn attribute(set: &str, membership: &Membership) -> Option<String> {
    let mut parts = Vec::new();
    if set != "*" {
        parts.push(format!("ParameterSetName = {}", quoted(set)));
    }
    if membership.mandatory {
        parts.push("Mandatory".into());
    }
    if let Some(position) = membership.position {
        parts.push(format!("Position = {position}"));
    }
    if membership.by_value {
        parts.push("ValueFromPipeline".into());
    }
    if membership.by_name {
        parts.push("ValueFromPipelineByPropertyName".into());
    }
    (!parts.is_empty()).then(|| format!("[Parameter({})]", parts.join(", ")))
}

fn validation(parameter: &Parameter) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |wanted: bool, text: &str| {
        if wanted {
            lines.push(format!("[{text}]"));
        }
    };
    add(parameter.allow_null, "AllowNull()");
    add(parameter.allow_empty && parameter.kind == Kind::String, "AllowEmptyString()");
    add(parameter.allow_empty && parameter.kind != Kind::String, "AllowEmptyCollection()");
    add(parameter.not_empty, "ValidateNotNullOrEmpty()");
    add(parameter.not_null, "ValidateNotNull()");
    add(parameter.wildcards, "SupportsWildcards()");
    if let Some(min) = parameter.min {
        let max = parameter.max.map_or_else(|| "[int]::MaxValue".to_owned(), |m| m.to_string());
        lines.push(format!("[ValidateRange({min}, {max})]"));
    }
    if !parameter.one_of.is_empty() {
        let values: Vec<String> = parameter.one_of.iter().map(|v| quoted(v)).collect();
        lines.push(format!("[ValidateSet({})]", values.join(", ")));
    }
    lines
}

/// The type as PowerShell writes it.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Switch => "switch",
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Ints => "int[]",
        Kind::Long => "long",
        Kind::Decimal => "decimal",
        Kind::String => "string",
        Kind::Strings => "string[]",
        Kind::Guid => "guid",
        Kind::Guids => "guid[]",
        Kind::DateTime => "datetime",
        Kind::NullableDateTime => "Nullable[datetime]",
        Kind::TimeSpan => "timespan",
        Kind::SecureString => "securestring",
        Kind::Secret | Kind::Object => "object",
        Kind::Credential => "pscredential",
        Kind::Hashtable => "hashtable",
        Kind::Hashtables => "hashtable[]",
        Kind::PsObject => "PSCustomObject",
        Kind::Objects => "object[]",
        Kind::Array => "array",
        Kind::Bytes => "byte[]",
    }
}

fn enter(cmdlet: &Cmdlet) -> String {
    let impact = match cmdlet.impact {
        None => 0,
        Some(Impact::Low) => 1,
        Some(Impact::Medium) => 2,
        Some(Impact::High) => 3,
    };
    let mut text = format!("Enter-HostCmdlet '{}' $PSCmdlet $PSBoundParameters {impact}", cmdlet.name);
    let files: Vec<String> =
        cmdlet.parameter.iter().filter(|p| p.completes.as_deref() == Some("file")).map(|p| p.name.clone()).collect();
    let lists = [taken(cmdlet), cmdlet.environment.clone(), files];
    let used = lists.iter().rposition(|list| !list.is_empty()).map_or(0, |last| last + 1);
    for names in &lists[..used] {
        let _ = write!(text, " {}", list(names));
    }
    text
}

/// The properties of an input object that the host needs: ids, and the name for questions.
fn taken(cmdlet: &Cmdlet) -> Vec<String> {
    let mut names: Vec<String> = cmdlet
        .parameter
        .iter()
        .flat_map(|p| p.provides.iter())
        .flat_map(|(variable, property)| [variable.clone(), property.clone()])
        .collect();
    if !names.is_empty()
        && let Some(current) = &cmdlet.current
    {
        names.push(crate::shape::pascal(&current.name).into_owned());
    }
    names.sort();
    names.dedup();
    names
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| quoted(n)).collect();
    format!("@({})", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_function_declares_what_its_row_declares() {
        let text = function(&crate::catalog::find("Set-JIMRunProfile").unwrap());
        for expected in [
            "[CmdletBinding(PositionalBinding = $false, DefaultParameterSetName = 'ById', SupportsShouldProcess, ConfirmImpact = 'Medium')]",
            "[Parameter(ParameterSetName = 'ByInputObject', Mandatory, ValueFromPipeline)]\n        [PSCustomObject] $InputObject",
            "[ValidateRange(1, 10000)]\n        [int] $PageSize",
            "$state = Enter-HostCmdlet 'Set-JIMRunProfile' $PSCmdlet $PSBoundParameters 2 @('ConnectedSystemId', 'Id', 'Name', 'RunProfileId')\n        Enable-HostWindow $state",
        ] {
            assert!(text.contains(expected), "{expected}\nnot in\n{text}");
        }
    }
}
