//! SASL: by which exchange of messages a client shows who it is (RFC 4422, KIP-43).

mod jwks;
pub(crate) mod oauthbearer;
pub(crate) mod plain;
pub(crate) mod scram;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use self::oauthbearer::{Bearer, BearerExchange};
use self::scram::{Scram, ScramStep};
use super::Principal;
use super::failures::Failures;
use super::passwords::{Passwords, Verdict};
use super::users::Users;
use super::verifier::ScramHash;
use crate::config::SaslConfig;
use crate::lines::Lines;

/// A mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mechanism {
    /// User and password as they are (RFC 4616).
    Plain,
    /// Neither the password nor anything that could be used again is sent (RFC 5802).
    Scram(ScramHash),
    /// A token that somebody else has signed (RFC 7628).
    OauthBearer,
}

impl Mechanism {
    /// Those there are.
    pub(crate) const ALL: [Self; 4] = [
        Self::Scram(ScramHash::Sha256),
        Self::Scram(ScramHash::Sha512),
        Self::Plain,
        Self::OauthBearer,
    ];

    /// Its registered name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(hash) => hash.name(),
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// The mechanism of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The mechanisms of a comma-separated list.
pub(crate) fn named(list: &str) -> Result<Vec<Mechanism>, String> {
    let one = |name: &str| {
        let known = Mechanism::ALL.map(Mechanism::name).join(", ");
        Mechanism::named(name).ok_or_else(|| format!("{name:?} is none of {known}"))
    };
    list.split(',').map(str::trim).map(one).collect()
}

/// Why somebody isn't let in. It holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The messages are no exchange.
    #[error("{0}")]
    Malformed(&'static str),
    /// There is no such user, or it has another password: which of both isn't told.
    #[error("the user name or the password is wrong (user {user:?})")]
    WrongPassword {
        /// Who the client says it is.
        user: String,
    },
    /// The token isn't good.
    #[error("the token is refused: {0}")]
    Token(String),
    /// Who logs in again must be who logged in before.
    #[error("{now} can't go on with a connection of {before}")]
    AnotherPrincipal {
        /// Who the connection is of.
        before: Principal,
        /// Who the client is now.
        now: Principal,
    },
}

impl Failure {
    pub(crate) fn malformed(what: &'static str) -> Self {
        Self::Malformed(what)
    }

    pub(crate) fn wrong_password(user: &str) -> Self {
        Self::WrongPassword {
            user: user.to_owned(),
        }
    }

    /// What the client is told.
    pub(crate) fn for_client(&self) -> &'static str {
        match self {
            Self::Malformed(what) => what,
            Self::WrongPassword { .. } => "The user name or the password is wrong.",
            Self::Token(_) => "The token is refused.",
            Self::AnotherPrincipal { .. } => "The user of a connection can't change.",
        }
    }

    /// A word for the metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongPassword { .. } => "wrong_password",
            Self::Token(_) => "token",
            Self::AnotherPrincipal { .. } => "another_principal",
        }
    }
}

/// Who is let in, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) principal: Principal,
    /// After which the client has to log in again; none for never.
    pub(crate) lifetime: Option<Duration>,
}

/// What the server says next.
#[derive(Debug)]
pub(crate) enum Step {
    /// This, and waits for more.
    Challenge(Vec<u8>),
    /// This, and lets the client in.
    Accepted(Vec<u8>, Grant),
}

/// What it takes to log in.
pub(crate) struct Authenticator {
    pub(crate) users: Users,
    mechanisms: Vec<Mechanism>,
    plain_unencrypted: bool,
    bearer: Option<Bearer>,
    session: Option<Duration>,
    /// How long a failure is held back.
    pub(crate) failures: Failures,
    /// The log's lines about failures.
    pub(crate) refusals: Arc<Lines>,
    passwords: Passwords,
}

/// An exchange that goes on.
#[derive(Debug)]
pub(crate) struct Exchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    Scram(Scram),
    Bearer(BearerExchange),
}

impl Authenticator {
    /// With the mechanisms that the configuration names.
    ///
    /// # Errors
    /// What can't be used, and which setting says it.
    pub(crate) async fn new(config: &SaslConfig, users: Users) -> Result<Self, String> {
        let bearer = Bearer::configured(config).await?;
        let mechanisms = named(&config.mechanisms)?
            .into_iter()
            .filter(|mechanism| *mechanism != Mechanism::OauthBearer || bearer.is_some())
            .collect();
        Ok(Self {
            users,
            mechanisms,
            plain_unencrypted: config.plain_unencrypted,
            bearer,
            session: match config.session_ms_max {
                0 => None,
                ms => Some(Duration::from_millis(ms)),
            },
            failures: Failures::new(Duration::from_millis(config.failure_delay_ms)),
            refusals: Lines::new("logins were refused"),
            passwords: Passwords::new()?,
        })
    }

    /// The mechanisms that a listener takes.
    pub(crate) fn mechanisms(&self, is_encrypted: bool) -> impl Iterator<Item = Mechanism> {
        let plain_too = is_encrypted || self.plain_unencrypted;
        let taken = self.mechanisms.iter().copied();
        taken.filter(move |mechanism| *mechanism != Mechanism::Plain || plain_too)
    }

    /// Begins an exchange by a mechanism; none if the listener doesn't take it.
    pub(crate) fn begin(&self, mechanism: &str, is_encrypted: bool) -> Option<Exchange> {
        let mechanism = Mechanism::named(mechanism)?;
        let is_taken = self
            .mechanisms(is_encrypted)
            .any(|taken| taken == mechanism);
        is_taken.then(|| Exchange {
            mechanism,
            state: match mechanism {
                Mechanism::Plain => State::Plain,
                Mechanism::Scram(hash) => State::Scram(Scram::new(hash)),
                Mechanism::OauthBearer => State::Bearer(BearerExchange::default()),
            },
        })
    }

    /// Whether this is the password of a user, which somebody at an address gives. Takes milliseconds the first
    /// time, and longer while many ask.
    pub(crate) async fn check(&self, from: IpAddr, user: &str, password: &[u8]) -> Verdict {
        let verifier = self.users.any_verifier(user);
        self.passwords.check(from, user, password, verifier).await
    }

    fn grant(&self, user: &str, token: Option<Duration>) -> Grant {
        let lifetime = match (self.session, token) {
            (Some(session), Some(token)) => Some(session.min(token)),
            (session, token) => session.or(token),
        };
        Grant {
            principal: Principal::user(user),
            lifetime,
        }
    }
}

impl Exchange {
    /// The mechanism of it.
    pub(crate) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes what the client at this address says next.
    ///
    /// # Errors
    /// If the client isn't let in; the exchange is over then.
    pub(crate) async fn step(
        &mut self,
        authenticator: &Authenticator,
        from: IpAddr,
        message: &[u8],
    ) -> Result<Step, Failure> {
        match &mut self.state {
            State::Plain => {
                let login = plain::Login::parse(message)?;
                let (user, password) = (login.user, login.password);
                if authenticator.check(from, user, password).await == Verdict::Wrong {
                    return Err(Failure::wrong_password(user));
                }
                Ok(Step::Accepted(
                    Vec::new(),
                    authenticator.grant(login.user, None),
                ))
            }
            State::Scram(scram) => {
                let verifier = |user: &str, hash| authenticator.users.verifier(user, hash);
                Ok(match scram.step(message, verifier)? {
                    ScramStep::Challenge(challenge) => Step::Challenge(challenge.into_bytes()),
                    ScramStep::Accepted { user, message } => {
                        Step::Accepted(message.into_bytes(), authenticator.grant(&user, None))
                    }
                })
            }
            State::Bearer(exchange) => {
                // It is only begun where there is one.
                let Some(bearer) = &authenticator.bearer else {
                    return Err(Failure::malformed("OAUTHBEARER is not configured"));
                };
                Ok(match exchange.step(bearer, message).await? {
                    oauthbearer::BearerStep::Refused(why) => Step::Challenge(why),
                    oauthbearer::BearerStep::Accepted { user, lifetime } => {
                        let grant = authenticator.grant(&user, Some(lifetime));
                        Step::Accepted(Vec::new(), grant)
                    }
                })
            }
        }
    }
}
