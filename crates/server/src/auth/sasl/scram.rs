//! SCRAM, the server's side (RFC 5802; RFC 7677 for SHA-256). No channel binding.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Failure;
use crate::auth::verifier::{ScramHash, Verifier};

/// Bytes of the server's nonce, before base64.
const NONCE_BYTES: usize = 18;
/// A longer nonce of a client is refused: it comes back in every message.
const CLIENT_NONCE_BYTES_MAX: usize = 256;

/// An exchange.
#[derive(Debug)]
pub(crate) struct Scram {
    hash: ScramHash,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    /// The client has said who it is, and was challenged.
    Challenged {
        user: String,
        verifier: Verifier,
        /// What channel binding the client asked for, as it must repeat it.
        gs2_header: String,
        nonce: String,
        /// The first two messages, without the header.
        exchanged: String,
    },
    Over,
}

/// What the server answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScramStep {
    /// Says this, and waits for more.
    Challenge(String),
    /// Says this; the client is the user.
    Accepted {
        /// Who.
        user: String,
        /// The last message.
        message: String,
    },
}

impl Scram {
    pub(crate) fn new(hash: ScramHash) -> Self {
        Self {
            hash,
            state: State::Begun,
        }
    }

    /// Takes the client's next message. `verifier` gives what is kept of a user, and something that
    /// looks like it for others.
    pub(crate) fn step(
        &mut self,
        message: &[u8],
        verifier: impl FnOnce(&str, ScramHash) -> Verifier,
    ) -> Result<ScramStep, Failure> {
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| Failure::malformed("there is no randomness"))?;
        self.step_with(message, verifier, &STANDARD.encode(nonce))
    }

    fn step_with(
        &mut self,
        message: &[u8],
        verifier: impl FnOnce(&str, ScramHash) -> Verifier,
        server_nonce: &str,
    ) -> Result<ScramStep, Failure> {
        let message = std::str::from_utf8(message)
            .map_err(|_| Failure::malformed("a SCRAM message is not UTF-8"))?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begun => {
                let first = ClientFirst::parse(message)?;
                let verifier = verifier(&first.user, self.hash);
                let nonce = format!("{}{server_nonce}", first.nonce);
                let challenge = format!(
                    "r={nonce},s={},i={}",
                    STANDARD.encode(&verifier.salt),
                    verifier.iterations
                );
                self.state = State::Challenged {
                    exchanged: format!("{},{challenge}", first.bare),
                    gs2_header: first.gs2_header.to_owned(),
                    user: first.user,
                    verifier,
                    nonce,
                };
                Ok(ScramStep::Challenge(challenge))
            }
            State::Challenged {
                user,
                verifier,
                gs2_header,
                nonce,
                exchanged,
            } => {
                let last = ClientFinal::parse(message)?;
                if last.channel_binding != gs2_header.as_bytes() {
                    return Err(Failure::malformed(
                        "the channel binding is not the one that was announced",
                    ));
                }
                // librdkafka before 2.6.1 says its own part twice, which Kafka takes, too. The proof is
                // over what was sent, so that nothing is lost by it.
                if !last.nonce.ends_with(&nonce) {
                    return Err(Failure::malformed(
                        "the nonce is not the one of the challenge",
                    ));
                }
                let auth_message = format!("{exchanged},{}", last.without_proof);
                if !verifier.accepts(&last.proof, auth_message.as_bytes()) {
                    return Err(Failure::wrong_password(&user));
                }
                let signature = verifier.sign(auth_message.as_bytes());
                Ok(ScramStep::Accepted {
                    user,
                    message: format!("v={}", STANDARD.encode(signature)),
                })
            }
            State::Over => Err(Failure::malformed("the SCRAM exchange is over")),
        }
    }
}

/// `n,,n=user,r=nonce`
struct ClientFirst<'a> {
    gs2_header: &'a str,
    bare: &'a str,
    user: String,
    nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    fn parse(message: &'a str) -> Result<Self, Failure> {
        let bad = || Failure::malformed("the first SCRAM message is malformed");
        let mut parts = message.splitn(3, ',');
        let (binding, authorized, bare) = (
            parts.next().ok_or_else(bad)?,
            parts.next().ok_or_else(bad)?,
            parts.next().ok_or_else(bad)?,
        );
        match binding {
            // Without channel binding, whether or not the client could.
            "n" | "y" => {}
            _ if binding.starts_with("p=") => {
                return Err(Failure::malformed(
                    "channel binding is asked for, which no listener offers",
                ));
            }
            _ => return Err(bad()),
        }
        let gs2_header = message.get(..message.len() - bare.len()).ok_or_else(bad)?;
        let mut attributes = bare.split(',');
        // An extension that must be understood would stand here, as `m=`.
        let user = attributes.next().and_then(|text| text.strip_prefix("n="));
        let user = unescape(user.ok_or_else(bad)?).ok_or_else(bad)?;
        let nonce = attributes.next().and_then(|text| text.strip_prefix("r="));
        let nonce = nonce
            .filter(|nonce| is_nonce(nonce) && nonce.len() <= CLIENT_NONCE_BYTES_MAX)
            .ok_or_else(bad)?;
        // Kafka's delegation tokens come as an extension: they are no users.
        if attributes.any(|extension| extension.eq_ignore_ascii_case("tokenauth=true")) {
            return Err(Failure::malformed("there are no delegation tokens"));
        }
        // Acting for another is not something that users may do here.
        if !authorized.is_empty() {
            let other = authorized.strip_prefix("a=").ok_or_else(bad)?;
            if unescape(other).as_ref() != Some(&user) {
                return Err(Failure::malformed("nobody may act for another user"));
            }
        }
        Ok(Self {
            gs2_header,
            bare,
            user,
            nonce,
        })
    }
}

/// `c=biws,r=nonce,p=proof`
struct ClientFinal<'a> {
    channel_binding: Vec<u8>,
    nonce: &'a str,
    proof: Vec<u8>,
    without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    fn parse(message: &'a str) -> Result<Self, Failure> {
        let bad = || Failure::malformed("the last SCRAM message is malformed");
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(bad)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|text| text.strip_prefix("c="));
        let nonce = attributes.next().and_then(|text| text.strip_prefix("r="));
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| bad());
        Ok(Self {
            channel_binding: decode(binding.ok_or_else(bad)?)?,
            nonce: nonce.ok_or_else(bad)?,
            proof: decode(proof)?,
            without_proof,
        })
    }
}

/// A name without its escapes: `=2C` for a comma and `=3D` for an equals sign, and nothing else.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        if let Some(rest) = part.strip_prefix("2C") {
            name.push(',');
            name.push_str(rest);
        } else {
            let rest = part.strip_prefix("3D")?;
            name.push('=');
            name.push_str(rest);
        }
    }
    (!name.is_empty()).then_some(name)
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
    use proptest::prelude::*;

    use super::*;

    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    /// The verifier of the RFC's user: password "pencil", its salt, 4096 iterations.
    fn pencil(_: &str, hash: ScramHash) -> Verifier {
        assert_eq!(hash, ScramHash::Sha256);
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let mut salted = [0; 32];
        let iterations = 4096.try_into().unwrap();
        derive(
            PBKDF2_HMAC_SHA256,
            iterations,
            &salt,
            b"pencil",
            &mut salted,
        );
        Verifier::of_salted(hash, &salted, salt, 4096)
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_example_of_rfc_7677() {
        let mut scram = Scram::new(ScramHash::Sha256);
        let challenge = scram.step_with(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", pencil, NONCE);
        let expected = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            challenge.unwrap(),
            ScramStep::Challenge(expected.to_owned())
        );
        let accepted = scram.step_with(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
              p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            pencil,
            NONCE,
        );
        assert_eq!(
            accepted.unwrap(),
            ScramStep::Accepted {
                user: "user".to_owned(),
                message: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_owned(),
            }
        );
    }

    /// The client's side, written from the RFC apart from the server's.
    fn client_final(hash: ScramHash, first: &str, challenge: &str, password: &[u8]) -> String {
        let bare = first.splitn(3, ',').nth(2).unwrap();
        let header = first.strip_suffix(bare).unwrap();
        let part = |at: usize| challenge.split(',').nth(at).unwrap().split_at(2).1;
        let salt = STANDARD.decode(part(1)).unwrap();
        let iterations: u32 = part(2).parse().unwrap();
        // Hi, written out.
        let mut block = hash
            .hmac(password, &[&salt[..], &[0, 0, 0, 1]].concat())
            .as_ref()
            .to_vec();
        let mut salted = block.clone();
        for _ in 1..iterations {
            block = hash.hmac(password, &block).as_ref().to_vec();
            salted.iter_mut().zip(&block).for_each(|(a, b)| *a ^= b);
        }
        let client_key = hash.hmac(&salted, b"Client Key").as_ref().to_vec();
        let algorithm = match hash {
            ScramHash::Sha256 => &aws_lc_rs::digest::SHA256,
            ScramHash::Sha512 => &aws_lc_rs::digest::SHA512,
        };
        let stored_key = aws_lc_rs::digest::digest(algorithm, &client_key);
        let without_proof = format!("c={},r={}", STANDARD.encode(header), part(0));
        let message = format!("{bare},{challenge},{without_proof}");
        let signature = hash.hmac(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature.as_ref())
            .map(|(a, b)| a ^ b)
            .collect();
        format!("{without_proof},p={}", STANDARD.encode(proof))
    }

    fn exchange(
        hash: ScramHash,
        first: &str,
        kept: &Verifier,
        password: &[u8],
    ) -> Result<ScramStep, Failure> {
        let mut scram = Scram::new(hash);
        let ScramStep::Challenge(challenge) = scram.step(first.as_bytes(), |_, _| kept.clone())?
        else {
            panic!("accepted at once");
        };
        let last = client_final(hash, first, &challenge, password);
        scram.step(last.as_bytes(), |_, _| panic!("asked twice"))
    }

    #[test]
    fn who_knows_the_password_is_let_in_and_nobody_else() {
        for hash in ScramHash::ALL {
            let kept = Verifier::of_password(hash, "pärchen".as_bytes()).unwrap();
            for first in ["n,,n=a=2Cb=3Dc,r=x", "y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x,ext=1"] {
                let accepted = exchange(hash, first, &kept, "pärchen".as_bytes()).unwrap();
                let ScramStep::Accepted { user, .. } = accepted else {
                    panic!()
                };
                assert_eq!(user, "a,b=c");
                assert!(exchange(hash, first, &kept, b"parchen").is_err());
            }
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for first in [
            "",
            "n,,",
            "n,,n=,r=x",
            "n,,n=a",
            "n,,n=a,r=",
            "n,,r=x,n=a",
            "x,,n=a,r=x",
            "p=tls-unique,,n=a,r=x",
            "n,a=b,n=a,r=x",
            "n,b,n=a,r=x",
            "n,,m=1,n=a,r=x",
            "n,,n=a=4Ab,r=x",
            "n,,n=a,r=x y",
            "n,,n=a,r=x,tokenauth=true",
        ] {
            let mut scram = Scram::new(ScramHash::Sha256);
            assert!(scram.step(first.as_bytes(), pencil).is_err(), "{first}");
            // And there is no going on.
            assert!(scram.step(b"n,,n=user,r=x", pencil).is_err());
        }
        for last in [
            "",
            "c=biws,r=xs",
            "c=biws,r=xs,p=",
            "c=biws,r=xt,p=AAAA",
            "c=eSws,r=xs,p=AAAA",
            "c=biws,r=xs,p=!!!!",
        ] {
            let mut scram = Scram::new(ScramHash::Sha256);
            scram.step_with(b"n,,n=user,r=x", pencil, "s").unwrap();
            assert!(scram.step(last.as_bytes(), pencil).is_err(), "{last}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(messages in prop::collection::vec(any::<Vec<u8>>(), 0..3), text in "[a-z=,]{0,40}") {
            let mut scram = Scram::new(ScramHash::Sha256);
            let kept = |_: &str, hash| Verifier::of_nobody(hash, vec![7; 24]);
            for message in &messages {
                let _ = scram.step(message, kept);
            }
            let mut scram = Scram::new(ScramHash::Sha256);
            let _ = scram.step(format!("n,,{text}").as_bytes(), kept);
            let stepped = scram.step(text.as_bytes(), kept);
            let is_let_in = matches!(stepped, Ok(ScramStep::Accepted { .. }));
            prop_assert!(!is_let_in);
        }
    }
}
