//! The shape of a catalogue row: one cmdlet, declared once. `build.rs` reads the same types to
//! check `catalog/**/*.toml`, so a row that doesn't fit fails the build, never a user's call.
//!
//! CONTRIBUTING.md walks through one row field by field.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `catalog/lookups.toml`: how a name becomes an id, once for all cmdlets.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lookups {
    pub lookup: BTreeMap<String, Lookup>,
}

/// `catalog/views.toml`: how objects are shown, by type name.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Views {
    pub view: BTreeMap<String, View>,
}

/// A table view.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    pub column: Vec<Column>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// A nested property is written with a dot: `Connector.Name`.
    pub property: String,
    /// In characters. Absent: columns share what is left.
    #[serde(default)]
    pub width: Option<u16>,
    #[serde(default)]
    pub align: Option<Align>,
    /// Heading, where the property's name won't do.
    #[serde(default)]
    pub label: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    Left,
    Right,
    Center,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    Jim,
    Ndm,
}

/// The object that comes with some parameter.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutputWith {
    /// In the words of the help: `-Id or -Name`.
    pub with: String,
    pub properties: Vec<String>,
}

/// One cmdlet.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cmdlet {
    /// Verb and noun, as exported.
    pub name: String,
    /// One sentence, shown by `Get-Command` lists and first in help.
    pub synopsis: String,
    /// Paragraphs, separated by a blank line.
    pub description: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Default parameter set; absent where the cmdlet has none.
    #[serde(default)]
    pub default_set: Option<String>,
    /// Present exactly on cmdlets that change something: it turns ShouldProcess on.
    #[serde(default)]
    pub impact: Option<Impact>,
    /// Does it need a connection first? Nearly all do.
    #[serde(default = "yes")]
    pub session: bool,
    /// Type name of the output objects (`JIM.RunProfile`): views and help hang on it.
    #[serde(default)]
    pub output: Option<String>,
    /// Property names of the output, in order, for help.
    #[serde(default)]
    pub output_properties: Vec<String>,
    /// What a parameter makes of the output, where that is another object. For help.
    #[serde(default)]
    pub output_with: Vec<OutputWith>,
    /// When the answer is written to the pipeline.
    #[serde(default)]
    pub emit: Emit,
    #[serde(default)]
    pub parameter: Vec<Parameter>,
    /// What the cmdlet does, for messages: "update run profile {RunProfileId}".
    pub action: String,
    /// Names that become ids before anything else happens, in order.
    #[serde(default)]
    pub lookup: Vec<LookupUse>,
    /// Reading the entity before changing it: prompt, `-WhatIf` difference, `-PassThru`.
    #[serde(default)]
    pub current: Option<Current>,
    /// The requests; the first whose condition holds is sent. Empty with a `handler`.
    #[serde(default)]
    pub request: Vec<Request>,
    /// The code in `src/cmdlets/` for what data can't express.
    #[serde(default)]
    pub handler: Option<String>,
    /// Variables that the handler works out before the requests are filled in.
    #[serde(default)]
    pub computed: Vec<String>,
    /// Answer of a cmdlet whose update has nothing in it.
    #[serde(default)]
    pub no_change: Option<NoChange>,
    /// Keeps only the items whose property is like the parameter's wildcard pattern.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Leaves items out unless a switch asks for them.
    #[serde(default)]
    pub hide: Option<Hide>,
    /// Writes this one property of the answer in place of the answer.
    #[serde(default)]
    pub pick: Option<String>,
    /// Adds `StepDisplay` to each object: how far it is, in words.
    #[serde(default)]
    pub step_display: bool,
    /// Parts of the answer that are written as warnings, with or without `-PassThru`.
    #[serde(default)]
    pub warning: Vec<Warning>,
    /// A 404 while reading is no error: nothing is written.
    #[serde(default)]
    pub missing_is_nothing: bool,
    /// Properties appended to each output object: name → variable.
    #[serde(default)]
    pub add: BTreeMap<String, String>,
    /// Reads the entity again for `-PassThru`: a path.
    #[serde(default)]
    pub refetch: Option<String>,
    /// Property names stay as the server writes them (anonymous System cmdlets).
    #[serde(default)]
    pub verbatim: bool,
    /// Clearer words for one status of the main request: status → message template.
    #[serde(default)]
    pub failure: BTreeMap<String, String>,
    /// Environment variables of the client that the cmdlet may see.
    #[serde(default)]
    pub environment: Vec<String>,
    pub example: Vec<Example>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Impact {
    Low,
    Medium,
    High,
}

/// When output is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emit {
    /// The answer, always (reads, and the few writes that always answer).
    #[default]
    Always,
    /// The answer, with `-PassThru` only.
    PassThru,
    /// What was there before the change, with `-PassThru` only.
    PassThruBefore,
    /// Nothing.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NoChange {
    Warning,
    Error,
}

/// One parameter.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// For help: what it means, units, limits.
    pub help: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Parameter set → how it takes part; `"*"` is every set. Absent: optional in every set.
    #[serde(default = "every_set")]
    pub sets: BTreeMap<String, Membership>,
    /// The default as PowerShell text.
    #[serde(default)]
    pub default: Option<String>,
    /// `ValidateNotNullOrEmpty`.
    #[serde(default)]
    pub not_empty: bool,
    /// `ValidateNotNull`.
    #[serde(default)]
    pub not_null: bool,
    /// `ValidateRange`, both ends included; the upper end may be absent.
    #[serde(default)]
    pub min: Option<i64>,
    #[serde(default)]
    pub max: Option<i64>,
    /// `ValidateSet`, without regard to case; the user's casing is sent.
    #[serde(default)]
    pub one_of: Vec<String>,
    #[serde(default)]
    pub wildcards: bool,
    #[serde(default)]
    pub allow_empty: bool,
    #[serde(default)]
    pub allow_null: bool,
    /// What tab completion offers: a lookup, or "file" for a file of the user's machine, whose path
    /// the bridge makes absolute.
    #[serde(default)]
    pub completes: Option<String>,
    /// Parameters that must be given with this one; without them the call is refused before
    /// anything is sent (`-AttributeName` without `-AttributeValue` would list everything).
    #[serde(default)]
    pub requires: Vec<String>,
    /// Parameters that must not be given with this one; a switch counts when it is on.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// InputObject only: variable → property of the object that fills it.
    #[serde(default)]
    pub provides: BTreeMap<String, String>,
}

/// How a parameter takes part in a parameter set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    #[serde(default)]
    pub mandatory: bool,
    #[serde(default)]
    pub position: Option<u8>,
    /// ValueFromPipelineByPropertyName.
    #[serde(default)]
    pub by_name: bool,
    /// ValueFromPipeline.
    #[serde(default)]
    pub by_value: bool,
}

/// Parameter types, as PowerShell writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Kind {
    #[serde(rename = "switch")]
    Switch,
    #[serde(rename = "bool")]
    Bool,
    #[serde(rename = "int")]
    Int,
    #[serde(rename = "int[]")]
    Ints,
    #[serde(rename = "long")]
    Long,
    #[serde(rename = "decimal")]
    Decimal,
    #[serde(rename = "string")]
    String,
    #[serde(rename = "string[]")]
    Strings,
    #[serde(rename = "guid")]
    Guid,
    #[serde(rename = "guid[]")]
    Guids,
    #[serde(rename = "datetime")]
    DateTime,
    #[serde(rename = "Nullable[datetime]")]
    NullableDateTime,
    #[serde(rename = "timespan")]
    TimeSpan,
    #[serde(rename = "securestring")]
    SecureString,
    /// A key or password: string or SecureString, never shown.
    #[serde(rename = "secret")]
    Secret,
    /// User name and password; travels as an object of both, never shown.
    #[serde(rename = "pscredential")]
    Credential,
    #[serde(rename = "hashtable")]
    Hashtable,
    #[serde(rename = "hashtable[]")]
    Hashtables,
    #[serde(rename = "PSCustomObject")]
    PsObject,
    #[serde(rename = "object")]
    Object,
    #[serde(rename = "object[]")]
    Objects,
    #[serde(rename = "array")]
    Array,
    #[serde(rename = "byte[]")]
    Bytes,
}

/// A request, as a template. Variables are parameters by name, ids found by lookups, and what an
/// input object provides: `{RunProfileId}`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(default)]
    pub when: Condition,
    pub method: Method,
    pub path: String,
    #[serde(default)]
    pub query: Vec<Field>,
    #[serde(default)]
    pub body: Vec<Field>,
    /// A POST that changes nothing, such as a trial of an expression: it needs no `impact`.
    #[serde(default)]
    pub read_only: bool,
    /// An empty answer to this read is an empty text, as in the official module; elsewhere it is an error.
    #[serde(default)]
    pub empty_text: bool,
    /// No credentials are sent (health, version, auth config).
    #[serde(default)]
    pub anonymous: bool,
    #[serde(default)]
    pub paging: Paging,
    /// Type name of this request's objects, where they aren't the cmdlet's usual ones
    /// (`-ObjectTypes` of a connected system): a table view must not be applied to them.
    #[serde(default)]
    pub output: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// One field of a body or query. Exactly one of `from` and `value` is given.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    /// The variable it comes from. A list in a query repeats the key.
    #[serde(default)]
    pub from: Option<String>,
    /// A constant. A text in it that is just `{Variable}`, at any depth, becomes the variable's
    /// value; `{A in B}` becomes whether the value of `A` is in the list `B`.
    #[serde(default)]
    pub value: Option<serde_json::Value>,
    /// The list that `value` is written for once per item; the list's name stands for the item.
    #[serde(default)]
    pub each: Option<String>,
    #[serde(default)]
    pub when: FieldWhen,
    /// A further condition on other parameters.
    #[serde(default, rename = "if")]
    pub only: Condition,
    #[serde(default, rename = "as")]
    pub form: Form,
}

/// When a field is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldWhen {
    /// When the user gave the parameter, or it has a default.
    #[default]
    Bound,
    /// When it is neither empty nor zero nor false.
    Truthy,
    /// Always; a switch that was not given is `false`.
    Always,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    #[default]
    Plain,
    /// A date as UTC, round-trip form.
    Utc,
    /// Hashtable keys as text.
    StringKeys,
    /// "Integer" is what people say, `Number` what the API calls it.
    AttributeType,
    /// A one-element list, whatever was given.
    List,
    /// Settings by id: each plain value goes into the field for its type, `checkboxValue`,
    /// `intValue` or `stringValue`. They may be passwords, so they are never shown.
    TypedValues,
}

/// All given parts must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The bound parameter set is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unbound: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truthy: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub falsy: Vec<String>,
    /// These parameters have wildcards in their text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pattern: Vec<String>,
    /// Parameter → text it equals, without regard to case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub equals: BTreeMap<String, String>,
}

/// How a list comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paging {
    /// One object or value; an array is written item by item.
    #[default]
    None,
    /// A list without paging: a bare array.
    List,
    /// The page the user asked for (`-Page`, `-PageSize`).
    Single,
    /// `-All` streams every page, otherwise the page asked for; `-Force` lifts the page cap.
    Optional,
    /// Every page, always.
    All,
}

/// A name that becomes an id.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LookupUse {
    /// Which lookup of `lookups.toml`.
    pub find: String,
    /// The parameter with the name.
    pub by: String,
    /// The variable that gets the id.
    pub into: String,
}

/// Where names are found.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// For messages: "connected system".
    pub noun: String,
    pub path: String,
    pub paging: Paging,
    #[serde(default = "name_property")]
    pub name: String,
    #[serde(default = "id_property")]
    pub id: String,
    /// The parameter that takes an id, named when a name is ambiguous.
    pub id_parameter: String,
}

/// Reading the entity as it is before the change.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Current {
    pub path: String,
    /// For a list: the variable whose value the item's `id` must equal.
    #[serde(default)]
    pub find: Option<String>,
    /// What it is called in messages: "run profile".
    pub noun: String,
    /// The property that names it for people.
    #[serde(default = "name_property")]
    pub name: String,
    /// The change is refused when it isn't there, also when no prompt needs it.
    #[serde(default)]
    pub must_exist: bool,
    /// An input object stands for it: nothing is read then.
    #[serde(default)]
    pub input: bool,
    /// Variable → property that fills it. The change needs them, so the read is never left out.
    #[serde(default)]
    pub provides: BTreeMap<String, String>,
    /// Reasons to send nothing; the first that holds is the error. Checked with `-WhatIf` too.
    #[serde(default)]
    pub refuse: Vec<Refuse>,
}

/// A change that the server would refuse, or should.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// The property of what was read that is true then.
    pub when: String,
    /// Why, and what to do; `{property}` is a property of what was read.
    pub text: String,
}

/// A client-side wildcard filter.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    pub property: String,
    pub like: String,
    /// When it applies, where one request filters and another doesn't.
    #[serde(default, rename = "if")]
    pub only: Condition,
}

/// Items that few people want to see.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hide {
    /// Property → value; an item with all of these is left out.
    pub having: BTreeMap<String, serde_json::Value>,
    /// The switch that shows them.
    pub unless: String,
}

/// A part of the answer that people must see: a text or a list.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// The property. Null and absent give no warning.
    pub property: String,
    /// For items that are objects: the text, `{property}` is a property of the item.
    #[serde(default)]
    pub text: Option<String>,
}

/// An example; tests run each against the sandbox.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub code: String,
    pub text: String,
}

fn yes() -> bool {
    true
}

fn name_property() -> String {
    "name".into()
}

fn id_property() -> String {
    "id".into()
}

fn every_set() -> BTreeMap<String, Membership> {
    BTreeMap::from([("*".into(), Membership::default())])
}
