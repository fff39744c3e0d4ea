//! Compatibility levels and modes: of a subject, of a context, of the registry.

use serde_json::{Map, Value, json};

use super::Embedded;
use super::api_error::ApiError;
use super::facts::{Compatibility, Config, Fact, Mode, Settings, Subject};
use super::names::SubjectName;

/// Whose settings: a subject's (or context's), or the registry's.
pub(super) type Scope = Option<SubjectName>;

impl Embedded {
    /// The configuration of a scope as it would be shown.
    pub(super) fn config_of(&self, scope: &Scope, or_inherited: bool) -> Result<Value, ApiError> {
        let state = self.state();
        let config = match scope {
            None => {
                let mut config = state.global().config.clone().unwrap_or_default();
                config
                    .compatibility
                    .get_or_insert(state.default_compatibility());
                config
            }
            Some(name) if or_inherited => state.config(name),
            Some(name) => {
                let own = state.subject(name).settings.config.clone();
                own.ok_or_else(|| ApiError::no_subject_compatibility(name.as_str()))?
            }
        };
        Ok(config_json(&config, "compatibilityLevel"))
    }

    /// Changes what the body names, and answers with what the body said. What it gives as null goes
    /// back to what is inherited.
    pub(super) async fn set_config(
        &self,
        scope: Scope,
        body: &Map<String, Value>,
    ) -> Result<Value, ApiError> {
        let _writer = self.inner.writer.lock().await;
        let mut settings = self.settings(&scope);
        let mut config = settings.config.take().unwrap_or_default();
        let mut echo = Config::default();
        for (key, value) in body {
            match (key.as_str(), value) {
                ("compatibility" | "compatibilityLevel", Value::Null) => {
                    config.compatibility = None
                }
                ("compatibility" | "compatibilityLevel", Value::String(level)) => {
                    config.compatibility = Some(Compatibility::parse(level)?);
                    echo.compatibility = config.compatibility;
                }
                ("normalize", Value::Null) => config.normalize = None,
                ("normalize", Value::Bool(normalize)) => {
                    config.normalize = Some(*normalize);
                    echo.normalize = config.normalize;
                }
                ("compatibilityGroup", Value::Null) => config.compatibility_group = None,
                ("compatibilityGroup", Value::String(group)) => {
                    config.compatibility_group = Some(group.clone());
                    echo.compatibility_group = config.compatibility_group.clone();
                }
                ("compatibility" | "compatibilityLevel", other) => {
                    return Err(ApiError::invalid_compatibility(&other.to_string()));
                }
                // To take a setting and not to act by it would be worse than to refuse it.
                (_, Value::Null) => {}
                (other, _) => {
                    return Err(ApiError::unprocessable(format!(
                        "{other} can't be set here: compatibility, normalize and \
                         compatibilityGroup can"
                    )));
                }
            }
        }
        settings.config = Some(config).filter(|config| *config != Config::default());
        self.put_settings(scope, settings).await?;
        Ok(config_json(&echo, "compatibility"))
    }

    /// Removes a scope's configuration, and answers with what it was.
    pub(super) async fn delete_config(&self, scope: Scope) -> Result<Value, ApiError> {
        let _writer = self.inner.writer.lock().await;
        let was = self.config_of(&scope, false)?;
        let mut settings = self.settings(&scope);
        settings.config = None;
        self.put_settings(scope, settings).await?;
        Ok(was)
    }

    /// The mode of a scope.
    pub(super) fn mode_of(&self, scope: &Scope, or_inherited: bool) -> Result<Value, ApiError> {
        let state = self.state();
        let mode = match scope {
            None => state.global().mode.unwrap_or(Mode::Readwrite),
            Some(name) if or_inherited => state.mode(name),
            Some(name) => {
                let own = state.subject(name).settings.mode;
                own.ok_or_else(|| ApiError::no_subject_mode(name.as_str()))?
            }
        };
        Ok(mode_json(mode))
    }

    /// Sets the mode of a scope. Import needs one without schemas, unless it is forced: ids that are
    /// chosen elsewhere may clash with ids given out here.
    pub(super) async fn set_mode(
        &self,
        scope: Scope,
        body: &Map<String, Value>,
        force: bool,
    ) -> Result<Value, ApiError> {
        let _writer = self.inner.writer.lock().await;
        let mode = match body.get("mode") {
            Some(Value::String(mode)) => Mode::parse(mode)?,
            Some(other) => return Err(ApiError::invalid_mode(&other.to_string())),
            None => return Err(ApiError::invalid_mode("")),
        };
        let mut settings = self.settings(&scope);
        if mode == Mode::ReadonlyOverride && scope.is_some() {
            return Err(ApiError::invalid_mode(mode.as_str()));
        }
        if mode == Mode::Import && settings.mode != Some(Mode::Import) && !force {
            self.refuse_if_occupied(&scope)?;
        }
        settings.mode = Some(mode);
        self.put_settings(scope, settings).await?;
        Ok(mode_json(mode))
    }

    /// Removes a scope's mode, and answers with what it was.
    pub(super) async fn delete_mode(&self, scope: Scope) -> Result<Value, ApiError> {
        let _writer = self.inner.writer.lock().await;
        let was = self.mode_of(&scope, false)?;
        let mut settings = self.settings(&scope);
        settings.mode = None;
        self.put_settings(scope, settings).await?;
        Ok(was)
    }

    fn refuse_if_occupied(&self, scope: &Scope) -> Result<(), ApiError> {
        let state = self.state();
        let within = |name: &SubjectName| match scope {
            None => true,
            Some(scope) if scope.name().is_empty() => scope.context() == name.context(),
            Some(scope) => scope == name,
        };
        let found = state
            .subjects()
            .find(|(name, subject)| subject.is_live() && within(name));
        match found {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::not_permitted(format!(
                "import is for where there are no schemas yet, and there is subject '{}'",
                name.as_str()
            ))),
        }
    }

    fn settings(&self, scope: &Scope) -> Settings {
        let state = self.state();
        match scope {
            None => state.global().clone(),
            Some(name) => state.subject(name).settings.clone(),
        }
    }

    async fn put_settings(&self, scope: Scope, settings: Settings) -> Result<(), ApiError> {
        let fact = match scope {
            None => Fact::Global(settings),
            Some(name) => {
                let subject = Subject::clone(&self.state().subject(&name));
                Fact::Subject(
                    name,
                    Subject {
                        settings,
                        ..subject
                    },
                )
            }
        };
        self.write(fact).await
    }
}

/// The level goes by one name in requests and by another in answers.
fn config_json(config: &Config, level_name: &str) -> Value {
    let mut json = Map::new();
    if let Some(level) = config.compatibility {
        json.insert(level_name.to_owned(), json!(level.as_str()));
    }
    if let Some(normalize) = config.normalize {
        json.insert("normalize".to_owned(), json!(normalize));
    }
    if let Some(group) = &config.compatibility_group {
        json.insert("compatibilityGroup".to_owned(), json!(group));
    }
    Value::Object(json)
}

fn mode_json(mode: Mode) -> Value {
    json!({"mode": mode.as_str()})
}
