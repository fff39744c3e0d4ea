//! AlterUserScramCredentials: gives users credentials, and takes them; all of a user's changes or none
//! (KIP-554).

use std::collections::BTreeMap;

use fletch_wire::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsResult, ScramCredentialUpsertion,
};
use fletch_wire::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use fletch_wire::{ErrorCode, Str};
use tracing::{error, info};

use super::Context;
use crate::auth::users::{Change, UsersError};
use crate::auth::verifier::{
    ITERATIONS_MAX, ITERATIONS_MIN, SALT_BYTES_MAX, SALT_BYTES_MIN, ScramHash, Verifier,
};

/// What is wrong with what was asked of a user: the code and the words.
type Refusal = (ErrorCode, String);

pub(crate) async fn handle(
    context: &Context<'_>,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let mut by_user: BTreeMap<Str, Vec<Result<Change, Refusal>>> = BTreeMap::new();
    for asked in &request.upsertions {
        let changes = by_user.entry(asked.name.clone()).or_default();
        changes.push(verifier(asked).map(Change::Put));
    }
    for asked in &request.deletions {
        let changes = by_user.entry(asked.name.clone()).or_default();
        changes.push(mechanism(asked.mechanism).map(Change::Remove));
    }
    let mut results = Vec::with_capacity(by_user.len());
    for (user, changes) in by_user {
        let done = match changes.into_iter().collect() {
            Ok(changes) => change(context, &user, changes).await,
            Err(refusal) => Err(refusal),
        };
        let (error_code, error_message) = match done {
            Ok(()) => (ErrorCode::NONE, None),
            Err((error, words)) => (context.count(error), Some(words.into())),
        };
        results.push(AlterUserScramCredentialsResult {
            user,
            error_code,
            error_message,
            ..Default::default()
        });
    }
    AlterUserScramCredentialsResponse {
        results,
        ..Default::default()
    }
}

async fn change(context: &Context<'_>, user: &str, changes: Vec<Change>) -> Result<(), Refusal> {
    let mut mechanisms: Vec<_> = changes.iter().map(mechanism_of).collect();
    mechanisms.sort();
    if mechanisms
        .windows(2)
        .any(|pair| pair.first() == pair.last())
    {
        let words = "One mechanism of a user can be changed once in a request.";
        return Err((ErrorCode::DUPLICATE_RESOURCE, words.to_owned()));
    }
    let users = &context.broker.authenticator.users;
    match users.change(user, &changes).await {
        Ok(()) => {
            info!(user, by = %context.principal, "credentials changed on request");
            Ok(())
        }
        Err(problem) => {
            let error = match &problem {
                UsersError::Unknown => ErrorCode::RESOURCE_NOT_FOUND,
                UsersError::Name | UsersError::Configured => ErrorCode::UNACCEPTABLE_CREDENTIAL,
                UsersError::TooMany(_) => ErrorCode::POLICY_VIOLATION,
                other => {
                    error!(user, error = %other, "credentials can't be changed");
                    ErrorCode::KAFKA_STORAGE_ERROR
                }
            };
            Err((error, problem.to_string()))
        }
    }
}

fn mechanism_of(change: &Change) -> ScramHash {
    match change {
        Change::Put(verifier) => verifier.mechanism,
        Change::Remove(hash) => *hash,
    }
}

fn mechanism(number: i8) -> Result<ScramHash, Refusal> {
    ScramHash::of_number(number).ok_or_else(|| {
        let error = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
        (error, format!("There is no SCRAM mechanism {number}."))
    })
}

fn verifier(asked: &ScramCredentialUpsertion) -> Result<Verifier, Refusal> {
    let refused = |words: String| (ErrorCode::UNACCEPTABLE_CREDENTIAL, words);
    let hash = mechanism(asked.mechanism)?;
    let iterations = u32::try_from(asked.iterations)
        .ok()
        .filter(|iterations| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(iterations))
        .ok_or_else(|| {
            refused(format!(
                "{} iterations are not {ITERATIONS_MIN} to {ITERATIONS_MAX}.",
                asked.iterations
            ))
        })?;
    if !(SALT_BYTES_MIN..=SALT_BYTES_MAX).contains(&asked.salt.len()) {
        return Err(refused(format!(
            "A salt has {SALT_BYTES_MIN} to {SALT_BYTES_MAX} bytes."
        )));
    }
    if asked.salted_password.len() != hash.bytes() {
        return Err(refused(format!(
            "A salted password of {} has {} bytes.",
            hash.name(),
            hash.bytes()
        )));
    }
    let salt = asked.salt.to_vec();
    Ok(Verifier::of_salted(
        hash,
        &asked.salted_password,
        salt,
        iterations,
    ))
}
