//! DescribeUserScramCredentials (50): which SCRAM credentials users have (KIP-554).

use crate::{ErrorCode, Str};

message! {
    /// Asks for users' credentials.
    DescribeUserScramCredentialsRequest, versions "0", flexible "0+" {
        /// The users; null or none for all.
        users: Option<Vec<UserName>>, "0+", nullable("0+");
    }

    /// A user.
    struct UserName {
        /// The name.
        name: Str, "0+";
    }
}

message! {
    /// What there is of credentials, but for the credentials themselves.
    DescribeUserScramCredentialsResponse, versions "0", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong with the whole.
        error_code: ErrorCode, "0+";
        /// What went wrong with the whole, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// By user.
        results: Vec<DescribeUserScramCredentialsResult>, "0+";
    }

    /// A user's credentials.
    struct DescribeUserScramCredentialsResult {
        /// The user.
        user: Str, "0+";
        /// What went wrong with the user.
        error_code: ErrorCode, "0+";
        /// What went wrong with the user, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// By mechanism.
        credential_infos: Vec<CredentialInfo>, "0+";
    }

    /// A credential.
    struct CredentialInfo {
        /// The mechanism: 1 for SCRAM-SHA-256, 2 for SCRAM-SHA-512.
        mechanism: i8, "0+";
        /// How often the password was hashed.
        iterations: i32, "0+";
    }
}
