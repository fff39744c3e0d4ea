//! Copying one registry into another, ids and all.
//!
//! Both are spoken to by the REST API. Subjects are put in import mode while they are copied, which
//! lets ids and versions be chosen, and get the mode they have at the source afterwards. What is
//! there already is left as it is, so an import that broke off is finished by another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::error::RegistryError;
use crate::rest::SchemaAnswer;

/// Settings that another registry may have and the embedded one takes.
const SETTINGS: [&str; 2] = ["normalize", "compatibilityGroup"];

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Subjects seen at the source, deleted ones too.
    pub subjects: usize,
    /// Versions that were copied.
    pub copied: usize,
    /// Versions that were there already, with the same id and schema.
    pub present: usize,
    /// Versions that were marked deleted, as they are at the source.
    pub deleted: usize,
    /// Configurations and modes that were set, as `mode of orders-value: READONLY`.
    pub settings: Vec<String>,
    /// What couldn't be copied, and why.
    pub failures: Vec<(String, String)>,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImportReport {
            subjects,
            copied,
            present,
            deleted,
            settings,
            failures,
        } = self;
        writeln!(
            f,
            "{subjects} subjects: {copied} versions copied, {present} were there already, \
             {deleted} marked deleted"
        )?;
        for setting in settings {
            writeln!(f, "set: {setting}")?;
        }
        for (what, why) in failures {
            writeln!(f, "NOT copied: {what}: {why}")?;
        }
        Ok(())
    }
}

/// Copies every subject and version (soft-deleted ones too, and marked so), with ids, references,
/// metadata and rule sets, and all compatibility levels and modes, from one registry to another.
///
/// A version that the target refuses is told of in the report, and the rest is copied.
///
/// # Errors
/// [`RegistryError`] if either registry can't be spoken to at all; what was copied until then stays.
pub async fn import(from: &Client, to: &Client) -> Result<ImportReport, RegistryError> {
    let mut import = Import {
        from,
        to,
        report: ImportReport::default(),
        missing: BTreeSet::new(),
    };
    let mut subjects = BTreeMap::new();
    for name in from.all_subjects().await? {
        let versions = import.versions(&name).await?;
        subjects.insert(name, versions);
    }
    import.report.subjects = subjects.len();
    // A schema comes after those it refers to, and nothing is deleted before all is there.
    let mut opened = BTreeSet::new();
    for (subject, version) in order(&subjects) {
        if let Some(found) = subjects.get(&subject).and_then(|all| all.get(&version)) {
            import.copy(&subject, version, found, &mut opened).await?;
        }
    }
    // Those that refer are deleted before those they refer to.
    for (subject, version) in order(&subjects).into_iter().rev() {
        let found = subjects.get(&subject).and_then(|all| all.get(&version));
        if found.is_some_and(|found| found.deleted) {
            import.delete(&subject, version).await?;
        }
    }
    let names = subjects.keys().cloned();
    import.settings(names.collect(), &opened).await?;
    Ok(import.report)
}

/// A version at the source.
struct Found {
    answer: SchemaAnswer,
    deleted: bool,
}

type Subjects = BTreeMap<String, BTreeMap<i32, Found>>;

/// All versions, each after those it refers to; else those of lower ids first.
fn order(subjects: &Subjects) -> Vec<(String, i32)> {
    let mut all: Vec<_> = subjects
        .iter()
        .flat_map(|(subject, versions)| {
            let versions = versions.iter();
            versions.map(move |(version, found)| (found.answer.id, subject.clone(), *version))
        })
        .collect();
    all.sort();
    let mut placed = BTreeSet::new();
    let mut ordered = Vec::with_capacity(all.len());
    // Each is looked at until what it refers to has its place; in a circle, or where something is
    // missing, that never comes, and the target says so.
    loop {
        let before = ordered.len();
        all.retain(|(_, subject, version)| {
            let found = subjects.get(subject).and_then(|all| all.get(version));
            let references = found.and_then(|found| found.answer.references.as_deref());
            let ready = references.unwrap_or_default().iter().all(|reference| {
                placed.contains(&(reference.subject.clone(), reference.version))
                    || !subjects
                        .get(&reference.subject)
                        .is_some_and(|all| all.contains_key(&reference.version))
            });
            if ready {
                placed.insert((subject.clone(), *version));
                ordered.push((subject.clone(), *version));
            }
            !ready
        });
        if all.is_empty() || ordered.len() == before {
            break;
        }
    }
    ordered.extend(
        all.into_iter()
            .map(|(_, subject, version)| (subject, version)),
    );
    ordered
}

impl Client {
    /// Every subject of every context, deleted ones too.
    async fn all_subjects(&self) -> Result<Vec<String>, RegistryError> {
        let query = [("deleted", "true"), ("subjectPrefix", ":*:")];
        let what = (Method::GET, "the list of subjects");
        let found = self.ask(what, &["subjects"], &query, None).await?;
        Ok(strings(&found))
    }
}

struct Import<'a> {
    from: &'a Client,
    to: &'a Client,
    report: ImportReport,
    /// Versions that couldn't be copied.
    missing: BTreeSet<(String, i32)>,
}

impl Import<'_> {
    async fn versions(&self, subject: &str) -> Result<BTreeMap<i32, Found>, RegistryError> {
        let what = format!("subject {subject}");
        let segments = ["subjects", subject, "versions"];
        let live = self
            .from
            .ask((Method::GET, &what), &segments, &[], None)
            .await;
        let live = match live {
            // All of it is deleted.
            Err(RegistryError::NotFound { .. }) => json!([]),
            live => live?,
        };
        let all = [("deleted", "true")];
        let all = self
            .from
            .ask((Method::GET, &what), &segments, &all, None)
            .await?;
        let mut found = BTreeMap::new();
        for version in numbers(&all) {
            let text = version.to_string();
            let what = format!("version {version} of subject {subject}");
            let segments = ["subjects", subject, "versions", &text];
            let query = [("deleted", "true")];
            let answer = self
                .from
                .ask((Method::GET, &what), &segments, &query, None)
                .await?;
            let answer: SchemaAnswer = serde_json::from_value(answer)
                .map_err(|error| RegistryError::Configuration(format!("{what}: {error}")))?;
            let deleted = !numbers(&live).contains(&version);
            found.insert(version, Found { answer, deleted });
        }
        Ok(found)
    }

    async fn copy(
        &mut self,
        subject: &str,
        version: i32,
        found: &Found,
        opened: &mut BTreeSet<String>,
    ) -> Result<(), RegistryError> {
        let what = format!("version {version} of subject {subject}");
        let text = version.to_string();
        let answer = &found.answer;
        let mut members = Map::from_iter([
            ("schema".to_owned(), json!(answer.schema)),
            (
                "schemaType".to_owned(),
                json!(answer.schema_type.as_deref().unwrap_or("AVRO")),
            ),
            (
                "references".to_owned(),
                json!(answer.references.clone().unwrap_or_default()),
            ),
        ]);
        for (key, value) in [
            ("metadata", &answer.metadata),
            ("ruleSet", &answer.rule_set),
        ] {
            if let Some(value) = value {
                members.insert(key.to_owned(), value.clone());
            }
        }
        let body = Value::Object(members.clone());
        // There already? A version has the same schema if looking it up leads back to it.
        let (segments, query) = (
            ["subjects", subject, "versions", &text],
            [("deleted", "true")],
        );
        let there = self
            .to
            .ask((Method::GET, &what), &segments, &query, None)
            .await;
        match there {
            Ok(there) if there.get("id").and_then(Value::as_i64) == answer.id => {
                let same = there.get("schema").and_then(Value::as_str) == answer.schema.as_deref()
                    || self.is_schema_of(subject, version, &body).await?;
                if same {
                    self.report.present += 1;
                } else {
                    self.fail(
                        subject,
                        version,
                        "another schema is there, with the same id".to_owned(),
                    );
                }
                return Ok(());
            }
            Ok(there) => {
                let why = format!(
                    "a schema of id {} is there",
                    there.get("id").unwrap_or(&Value::Null)
                );
                self.fail(subject, version, why);
                return Ok(());
            }
            Err(RegistryError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        if opened.insert(subject.to_owned()) {
            let import = json!({"mode": "IMPORT"});
            let (segments, query) = (["mode", subject], [("force", "true")]);
            let mode = format!("the mode of subject {subject}");
            self.to
                .ask((Method::PUT, &mode), &segments, &query, Some(&import))
                .await?;
        }
        members.insert("id".to_owned(), json!(answer.id));
        members.insert("version".to_owned(), json!(version));
        let body = Value::Object(members);
        let segments = ["subjects", subject, "versions"];
        let registered = self
            .to
            .ask((Method::POST, &what), &segments, &[], Some(&body))
            .await;
        match registered {
            Ok(_) => self.report.copied += 1,
            Err(error) => self.refused(subject, version, error)?,
        }
        Ok(())
    }

    /// Whether the target finds the schema under this version.
    async fn is_schema_of(
        &self,
        subject: &str,
        version: i32,
        body: &Value,
    ) -> Result<bool, RegistryError> {
        let (segments, query) = (["subjects", subject], [("deleted", "true")]);
        let what = format!("a schema of subject {subject}");
        match self
            .to
            .ask((Method::POST, &what), &segments, &query, Some(body))
            .await
        {
            Ok(found) => Ok(found.get("version").and_then(Value::as_i64) == Some(version.into())),
            Err(RegistryError::NotFound { .. } | RegistryError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn delete(&mut self, subject: &str, version: i32) -> Result<(), RegistryError> {
        if self.missing.contains(&(subject.to_owned(), version)) {
            return Ok(());
        }
        let text = version.to_string();
        let what = format!("version {version} of subject {subject}");
        let segments = ["subjects", subject, "versions", &text];
        let live = self
            .to
            .ask((Method::GET, &what), &segments, &[], None)
            .await;
        match live {
            // Marked already.
            Err(RegistryError::NotFound { .. }) => return Ok(()),
            live => live?,
        };
        match self
            .to
            .ask((Method::DELETE, &what), &segments, &[], None)
            .await
        {
            Ok(_) => self.report.deleted += 1,
            Err(RegistryError::Refused { answer, .. }) => {
                self.report
                    .failures
                    .push((what, format!("it can't be marked deleted: {answer}")));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Levels and modes: of the registry, of contexts, of subjects. The modes of subjects that were
    /// in import mode for the import go back to what they are at the source.
    async fn settings(
        &mut self,
        subjects: Vec<String>,
        opened: &BTreeSet<String>,
    ) -> Result<(), RegistryError> {
        let contexts = self
            .from
            .ask((Method::GET, "the contexts"), &["contexts"], &[], None)
            .await;
        let contexts = match contexts {
            // Registries of old have none.
            Err(RegistryError::NotFound { .. }) => json!([]),
            contexts => contexts?,
        };
        let contexts = strings(&contexts).into_iter();
        let contexts = contexts
            .filter(|context| context != ".")
            .map(|context| format!(":{context}:"));
        let scopes = std::iter::once(None).chain(contexts.map(Some));
        for scope in scopes.chain(subjects.into_iter().map(Some)) {
            let scope = scope.as_deref();
            self.config(scope).await?;
            self.mode(scope, scope.is_some_and(|scope| opened.contains(scope)))
                .await?;
        }
        Ok(())
    }

    async fn config(&mut self, scope: Option<&str>) -> Result<(), RegistryError> {
        let what = format!("configuration of {}", scope.unwrap_or("the registry"));
        let segments: Vec<_> = std::iter::once("config").chain(scope).collect();
        let Some(found) = asked(self.from, &what, &segments).await? else {
            return Ok(());
        };
        let mut wanted = Map::new();
        if let Some(level) = found.get("compatibilityLevel") {
            wanted.insert("compatibility".to_owned(), level.clone());
        }
        for key in SETTINGS {
            if let Some(value) = found.get(key).filter(|value| !value.is_null()) {
                wanted.insert(key.to_owned(), value.clone());
            }
        }
        let others = found
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| {
                !value.is_null()
                    && *key != "compatibilityLevel"
                    && !SETTINGS.contains(&key.as_str())
            });
        for (key, _) in others {
            let why = "the target has no such setting".to_owned();
            self.report
                .failures
                .push((format!("{key} in the {what}"), why));
        }
        let there = asked(self.to, &what, &segments).await?.unwrap_or_default();
        let has = |(key, value): (&String, &Value)| {
            let key = if key == "compatibility" {
                "compatibilityLevel"
            } else {
                key
            };
            there.get(key) == Some(value)
        };
        if wanted.iter().all(has) {
            return Ok(());
        }
        let told = Value::Object(wanted);
        self.to
            .ask((Method::PUT, &what), &segments, &[], Some(&told))
            .await?;
        self.report.settings.push(format!("{what}: {told}"));
        Ok(())
    }

    async fn mode(&mut self, scope: Option<&str>, opened: bool) -> Result<(), RegistryError> {
        let what = format!("mode of {}", scope.unwrap_or("the registry"));
        let segments: Vec<_> = std::iter::once("mode").chain(scope).collect();
        let found = asked(self.from, &what, &segments).await?;
        let there = asked(self.to, &what, &segments).await?;
        let mode = |value: &Option<Value>| value.as_ref().map(|value| value["mode"].clone());
        let (wanted, has) = (mode(&found), mode(&there));
        if wanted == has {
            return Ok(());
        }
        match wanted {
            Some(wanted) => {
                let body = json!({"mode": wanted});
                let force = [("force", "true")];
                self.to
                    .ask((Method::PUT, &what), &segments, &force, Some(&body))
                    .await?;
                self.report
                    .settings
                    .push(format!("{what}: {}", wanted.as_str().unwrap_or_default()));
            }
            // Import mode that nobody asked for: this import's, or one's that broke off.
            None if opened || has == Some(json!("IMPORT")) => {
                self.to
                    .ask((Method::DELETE, &what), &segments, &[], None)
                    .await?;
            }
            None => {}
        }
        Ok(())
    }

    fn fail(&mut self, subject: &str, version: i32, why: String) {
        self.missing.insert((subject.to_owned(), version));
        let what = format!("version {version} of subject {subject}");
        self.report.failures.push((what, why));
    }

    /// Takes note of what the target refuses; any other failure ends the import.
    fn refused(
        &mut self,
        subject: &str,
        version: i32,
        error: RegistryError,
    ) -> Result<(), RegistryError> {
        match error {
            RegistryError::Refused { answer, .. } | RegistryError::NotFound { answer, .. } => {
                self.fail(subject, version, answer.to_string());
                Ok(())
            }
            other => Err(other),
        }
    }
}

/// A setting's own value; none where it has none.
async fn asked(
    client: &Client,
    what: &str,
    segments: &[&str],
) -> Result<Option<Value>, RegistryError> {
    match client.ask((Method::GET, what), segments, &[], None).await {
        Ok(found) => Ok(Some(found)),
        Err(RegistryError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn numbers(list: &Value) -> Vec<i32> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|number| i32::try_from(number.as_i64()?).ok())
        .collect()
}
