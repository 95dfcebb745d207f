//! Example data templates as people write them: hashtables with names in place of ids, turned into
//! what the API takes; and what the API answers, turned into what it takes.

use super::super::{Context, lookup};
use crate::binding::Variables;
use crate::catalog;
use crate::failure::Failure;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How a value becomes a field.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Attribute,
    ObjectType,
    ObjectTypes,
    DataSets,
    Weighted,
    Dependency,
    Attributes,
}

/// A key people may write, what it is, and the API's field for it.
type Key = (&'static str, Form, &'static str);

const OBJECT_TYPE: &[Key] = &[
    ("MetaverseObjectType", Form::ObjectType, "metaverseObjectTypeId"),
    ("MetaverseObjectTypeId", Form::ObjectType, "metaverseObjectTypeId"),
    ("ObjectsToCreate", Form::Plain, "objectsToCreate"),
    ("Attributes", Form::Attributes, "attributes"),
];

const ATTRIBUTE: &[Key] = &[
    ("MetaverseAttribute", Form::Attribute, "metaverseAttributeId"),
    ("MetaverseAttributeId", Form::Attribute, "metaverseAttributeId"),
    ("ConnectedSystemObjectTypeAttributeId", Form::Plain, "connectedSystemObjectTypeAttributeId"),
    ("PopulatedValuesPercentage", Form::Plain, "populatedValuesPercentage"),
    ("BoolTrueDistribution", Form::Plain, "boolTrueDistribution"),
    ("BoolShouldBeRandom", Form::Plain, "boolShouldBeRandom"),
    ("MinDate", Form::Plain, "minDate"),
    ("MaxDate", Form::Plain, "maxDate"),
    ("MinNumber", Form::Plain, "minNumber"),
    ("MaxNumber", Form::Plain, "maxNumber"),
    ("SequentialNumbers", Form::Plain, "sequentialNumbers"),
    ("RandomNumbers", Form::Plain, "randomNumbers"),
    ("Pattern", Form::Plain, "pattern"),
    ("Expression", Form::Plain, "expression"),
    ("ExampleDataSets", Form::DataSets, "exampleDataSets"),
    ("ExampleDataSet", Form::DataSets, "exampleDataSets"),
    ("WeightedStringValues", Form::Weighted, "weightedStringValues"),
    ("WeightedValues", Form::Weighted, "weightedStringValues"),
    ("WeightedValue", Form::Weighted, "weightedStringValues"),
    ("ManagerDepthPercentage", Form::Plain, "managerDepthPercentage"),
    ("MvaRefMinAssignments", Form::Plain, "mvaRefMinAssignments"),
    ("MvaRefMaxAssignments", Form::Plain, "mvaRefMaxAssignments"),
    ("ReferenceMetaverseObjectTypes", Form::ObjectTypes, "referenceMetaverseObjectTypeIds"),
    ("ReferenceMetaverseObjectTypeIds", Form::ObjectTypes, "referenceMetaverseObjectTypeIds"),
    ("ReferenceMetaverseObjectType", Form::ObjectTypes, "referenceMetaverseObjectTypeIds"),
    ("AttributeDependency", Form::Dependency, "attributeDependency"),
];

const DEPENDENCY: &[Key] = &[
    ("MetaverseAttribute", Form::Attribute, "metaverseAttributeId"),
    ("MetaverseAttributeId", Form::Attribute, "metaverseAttributeId"),
    ("ComparisonType", Form::Plain, "comparisonType"),
    ("StringValue", Form::Plain, "stringValue"),
];

const WEIGHTED: &[Key] = &[("Value", Form::Plain, "value"), ("Weight", Form::Plain, "weight")];

/// Turns what people write into what the API takes; each list of names is read once.
pub struct Builder<'a> {
    context: &'a Context<'a>,
    variables: &'a Variables<'a>,
    lists: BTreeMap<&'static str, Vec<(String, Value)>>,
}

impl<'a> Builder<'a> {
    pub fn new(context: &'a Context<'a>, variables: &'a Variables<'a>) -> Self {
        Self { context, variables, lists: BTreeMap::new() }
    }

    /// The `objectTypes` of a request.
    pub async fn object_types(&mut self, given: &Value) -> Result<Value, Failure> {
        // What is wrong in the texts is said before any name is looked up.
        for item in items(given) {
            self.known(item, OBJECT_TYPE, "an object type")?;
        }
        let mut object_types = Vec::new();
        for item in items(given) {
            object_types.push(self.object_type(item).await?);
        }
        Ok(Value::Array(object_types))
    }

    async fn object_type(&mut self, given: &Value) -> Result<Value, Failure> {
        let mut fields = Map::new();
        for (form, field, value) in self.known(given, OBJECT_TYPE, "an object type")? {
            let value = match form {
                Form::ObjectType => self.id("metaverse-object-type", value).await?,
                Form::Attributes => {
                    let mut attributes = Vec::new();
                    for attribute in items(value) {
                        attributes.push(self.attribute(attribute).await?);
                    }
                    Value::Array(attributes)
                }
                _ => value.clone(),
            };
            fields.insert(field.to_owned(), value);
        }
        if !fields.contains_key("metaverseObjectTypeId") {
            return Err(self.refused("an object type needs MetaverseObjectType, its name or id".into()));
        }
        fields.entry("objectsToCreate").or_insert(json!(1));
        fields.entry("attributes").or_insert(json!([]));
        Ok(Value::Object(fields))
    }

    /// One attribute of an object type.
    pub async fn attribute(&mut self, given: &Value) -> Result<Value, Failure> {
        let known = self.known(given, ATTRIBUTE, "an attribute")?;
        let has = |name: &str| known.iter().any(|(_, field, _)| *field == name);
        if has("metaverseAttributeId") == has("connectedSystemObjectTypeAttributeId") {
            let reason =
                "an attribute is either a MetaverseAttribute or a ConnectedSystemObjectTypeAttributeId: give one";
            return Err(self.refused(reason.into()));
        }
        let mut fields = Map::new();
        for (form, field, value) in known {
            let value = match form {
                Form::Attribute => self.id("metaverse-attribute", value).await?,
                Form::ObjectTypes => {
                    let mut ids = Vec::new();
                    for item in items(value) {
                        ids.push(self.id("metaverse-object-type", item).await?);
                    }
                    Value::Array(ids)
                }
                Form::DataSets => self.data_sets(value).await?,
                Form::Weighted => {
                    let weighted = |item| Ok(object(self.known(item, WEIGHTED, "a weighted value")?));
                    Value::Array(items(value).iter().map(weighted).collect::<Result<_, Failure>>()?)
                }
                Form::Dependency => self.dependency(value).await?,
                _ => value.clone(),
            };
            fields.insert(field.to_owned(), value);
        }
        Ok(Value::Object(fields))
    }

    async fn dependency(&mut self, given: &Value) -> Result<Value, Failure> {
        let mut fields = Map::new();
        for (form, field, value) in self.known(given, DEPENDENCY, "an attribute dependency")? {
            let value =
                if form == Form::Attribute { self.id("metaverse-attribute", value).await? } else { value.clone() };
            fields.insert(field.to_owned(), value);
        }
        Ok(Value::Object(fields))
    }

    /// Names, ids or hashtables, in the order in which a pattern uses them.
    async fn data_sets(&mut self, given: &Value) -> Result<Value, Failure> {
        const KEYS: &[Key] = &[
            ("ExampleDataSet", Form::Plain, "set"),
            ("ExampleDataSetId", Form::Plain, "set"),
            ("Name", Form::Plain, "set"),
            ("Id", Form::Plain, "set"),
            ("Order", Form::Plain, "order"),
        ];
        let mut sets = Vec::new();
        for (position, item) in items(given).iter().enumerate() {
            let (set, order) = match item {
                Value::Object(_) => {
                    let fields = object(self.known(item, KEYS, "an example data set")?);
                    let order = fields.get("order").cloned().unwrap_or_else(|| json!(position));
                    (fields.get("set").cloned().unwrap_or_default(), order)
                }
                set => (set.clone(), json!(position)),
            };
            let id = self.id("example-data-set", &set).await?;
            sets.push(json!({ "exampleDataSetId": id, "order": order }));
        }
        Ok(Value::Array(sets))
    }

    /// A number is an id, a text a name.
    async fn id(&mut self, find: &'static str, value: &Value) -> Result<Value, Failure> {
        let Some(lookup) = catalog::lookup(find) else { return Ok(value.clone()) };
        let name = match value {
            Value::Number(_) => return Ok(value.clone()),
            Value::String(name) if !name.trim().is_empty() => name,
            other => return Err(self.refused(format!("{other} is neither the name nor the id of a {}", lookup.noun))),
        };
        if !self.lists.contains_key(find) {
            let all = lookup::all(self.context, self.variables, lookup, name).await?;
            self.lists.insert(find, all);
        }
        lookup::pick(lookup, self.lists.get(find).map(Vec::as_slice).unwrap_or_default(), name)
    }

    /// The fields of a hashtable; a key that nobody knows is a typing error, so it is refused.
    fn known<'v>(
        &self,
        given: &'v Value,
        keys: &'static [Key],
        what: &str,
    ) -> Result<Vec<(Form, &'static str, &'v Value)>, Failure> {
        let Value::Object(entries) = given else {
            return Err(self.refused(format!("{what} is a hashtable, not {given}")));
        };
        let mut fields: Vec<(Form, &'static str, &Value)> = Vec::new();
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
            let Some((_, form, field)) = keys.iter().find(|(name, ..)| name.eq_ignore_ascii_case(key)) else {
                let names: Vec<&str> = keys.iter().map(|(name, ..)| *name).collect();
                return Err(self.refused(format!("{what} has no '{key}'. It has: {}", names.join(", "))));
            };
            if fields.iter().any(|(_, other, _)| other == field) {
                return Err(self.refused(format!("'{key}' says the same as another key of {what}: give one of them")));
            }
            fields.push((*form, field, value));
        }
        Ok(fields)
    }

    fn refused(&self, reason: String) -> Failure {
        Failure::Refused { action: self.context.action(self.variables), reason: format!("{reason}.") }
    }
}

fn object(fields: Vec<(Form, &'static str, &Value)>) -> Value {
    fields.into_iter().map(|(_, field, value)| (field.to_owned(), value.clone())).collect()
}

/// A list, or one item as PowerShell passes it.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        other => std::slice::from_ref(other),
    }
}

/// An object type as the server answers it, as it takes it: what is empty is left out.
pub fn sent_again(object_type: &Value) -> Value {
    let attributes = object_type["templateAttributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    json!({
        "metaverseObjectTypeId": object_type["metaverseObjectTypeId"],
        "objectsToCreate": object_type["objectsToCreate"],
        "attributes": attributes.iter().map(attribute_sent_again).collect::<Vec<_>>(),
    })
}

fn attribute_sent_again(attribute: &Value) -> Value {
    let list = |name: &str| attribute[name].as_array().filter(|items| !items.is_empty());
    let only = |item: &Value, names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), item[*name].clone())).collect()
    };
    let plain = ATTRIBUTE.iter().filter(|(key, form, field)| {
        (*form == Form::Plain || *key == "MetaverseAttributeId") && !attribute[*field].is_null()
    });
    let mut fields: Map<String, Value> =
        plain.map(|(_, _, field)| ((*field).to_owned(), attribute[*field].clone())).collect();
    if let Some(sets) = list("exampleDataSetInstances") {
        let sets = sets.iter().map(|set| only(set, &["exampleDataSetId", "order"])).collect();
        fields.insert("exampleDataSets".into(), sets);
    }
    if let Some(values) = list("weightedStringValues") {
        let values = values.iter().map(|value| only(value, &["value", "weight"])).collect();
        fields.insert("weightedStringValues".into(), values);
    }
    if let Some(types) = list("referenceMetaverseObjectTypes") {
        let ids = types.iter().map(|object_type| object_type["id"].clone()).collect();
        fields.insert("referenceMetaverseObjectTypeIds".into(), ids);
    }
    if let dependency @ Value::Object(_) = &attribute["attributeDependency"] {
        let kept = only(dependency, &["metaverseAttributeId", "comparisonType", "stringValue"]);
        fields.insert("attributeDependency".into(), kept);
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_sent_without_what_is_empty_or_only_shown() {
        let answered = json!({"id": 11, "metaverseObjectTypeId": 1, "metaverseObjectTypeName": "User", "objectsToCreate": 35,
            "templateAttributes": [{"id": 1, "metaverseAttributeId": 60, "metaverseAttributeName": "Mail", "pattern": "x",
                "minNumber": null, "boolShouldBeRandom": false,
                "exampleDataSetInstances": [{"id": 5, "exampleDataSetId": 31, "exampleDataSetName": "n", "order": 1}],
                "weightedStringValues": [], "referenceMetaverseObjectTypes": [{"id": 2, "name": "Group"}],
                "attributeDependency": {"id": 3, "metaverseAttributeId": 7, "metaverseAttributeName": "A",
                    "comparisonType": "Equals", "stringValue": "s"}}]});
        assert_eq!(
            sent_again(&answered),
            json!({"metaverseObjectTypeId": 1, "objectsToCreate": 35, "attributes": [{
                "metaverseAttributeId": 60, "pattern": "x", "boolShouldBeRandom": false,
                "exampleDataSets": [{"exampleDataSetId": 31, "order": 1}], "referenceMetaverseObjectTypeIds": [2],
                "attributeDependency": {"metaverseAttributeId": 7, "comparisonType": "Equals", "stringValue": "s"}}]})
        );
    }

    #[test]
    fn one_item_is_a_list_of_one() {
        assert_eq!(items(&json!({"a": 1})), [json!({"a": 1})]);
        assert_eq!(items(&json!([1, 2])).len(), 2);
    }
}
