//! AlterUserScramCredentials (51): gives users SCRAM credentials, and takes them (KIP-554).

use bytes::Bytes;

use crate::{ErrorCode, Str};

message! {
    /// Asks for credentials to be taken and given.
    AlterUserScramCredentialsRequest, versions "0", flexible "0+" {
        /// Those to take.
        deletions: Vec<ScramCredentialDeletion>, "0+";
        /// Those to give.
        upsertions: Vec<ScramCredentialUpsertion>, "0+";
    }

    /// A credential to take.
    struct ScramCredentialDeletion {
        /// The user.
        name: Str, "0+";
        /// The mechanism: 1 for SCRAM-SHA-256, 2 for SCRAM-SHA-512.
        mechanism: i8, "0+";
    }

    /// A credential to give.
    struct ScramCredentialUpsertion {
        /// The user.
        name: Str, "0+";
        /// The mechanism: 1 for SCRAM-SHA-256, 2 for SCRAM-SHA-512.
        mechanism: i8, "0+";
        /// How often the password was hashed.
        iterations: i32, "0+";
        /// The salt, which the client made.
        salt: Bytes, "0+";
        /// The password, salted and hashed.
        salted_password: Bytes, "0+";
    }
}

message! {
    /// What became of it.
    AlterUserScramCredentialsResponse, versions "0", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By user.
        results: Vec<AlterUserScramCredentialsResult>, "0+";
    }

    /// What became of a user's.
    struct AlterUserScramCredentialsResult {
        /// The user.
        user: Str, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
    }
}
