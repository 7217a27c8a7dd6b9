//! What a certificate says: of whom, by whom, from when to when.
//!
//! Nothing is verified here. Certificates of clients were, before anybody asks; ours are our own.

use std::net::IpAddr;

use super::{
    der::{Der, Element, OCTETS, OID, SEQUENCE},
    names,
    settings::{AlternativeName, LoginFrom, LoginName},
};

/// `subjectAltName`, in DER.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];
/// Tags of the parts of a certificate that have one of their own.
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// That something is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no X.509 certificate")]
pub struct CertificateError;

/// A moment of a certificate, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// `2026-11-21T22:49:31Z`.
    pub text: String,
    /// Seconds since 1970.
    pub seconds: i64,
}

/// A certificate, read.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// `CN=client,O=Example`.
    pub subject: String,
    pub issuer: String,
    pub not_before: Moment,
    pub not_after: Moment,
    common_names: Vec<String>,
    alternative_names: Vec<(AlternativeName, String)>,
}

impl Certificate {
    /// Reads the DER of a certificate.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(der: &[u8]) -> Result<Certificate, CertificateError> {
        read(der).ok_or(CertificateError)
    }

    /// `2026-11-21T22:49:31Z - 2027-11-21T22:49:31Z`.
    pub fn validity(&self) -> String {
        format!("{} - {}", self.not_before.text, self.not_after.text)
    }

    /// The name of the user whose certificate this is (CON-22); `None` when it has no such name.
    pub fn login_name(&self, login: LoginName) -> Option<String> {
        let name = match login.from {
            LoginFrom::DistinguishedName => self.subject.clone(),
            LoginFrom::CommonName => self.common_names.join(","),
            LoginFrom::AlternativeName => {
                let mut names = self.alternative_names.iter().filter(|(kind, _)| *kind == login.kind);
                names.nth(login.index)?.1.clone()
            }
        };
        Some(name).filter(|name| !name.is_empty())
    }
}

fn read(der: &[u8]) -> Option<Certificate> {
    let mut whole = Der(der).next_of(SEQUENCE)?.inside();
    let mut fields = whole.next_of(SEQUENCE)?.inside();
    let _version_1_has_none = fields.next_of(VERSION);
    fields.next_of(INTEGER)?;
    let _algorithm = fields.next_of(SEQUENCE)?;
    let issuer = fields.next_of(SEQUENCE)?;
    let mut validity = fields.next_of(SEQUENCE)?.inside();
    let subject = fields.next_of(SEQUENCE)?;
    let extensions = fields.find(|field| field.tag == EXTENSIONS);
    Some(Certificate {
        subject: names::distinguished(subject)?,
        issuer: names::distinguished(issuer)?,
        not_before: moment(validity.next()?)?,
        not_after: moment(validity.next()?)?,
        common_names: names::common(subject),
        alternative_names: extensions.map(alternative_names).unwrap_or_default(),
    })
}

fn alternative_names(extensions: Element<'_>) -> Vec<(AlternativeName, String)> {
    let Some(list) = extensions.inside().next_of(SEQUENCE) else { return Vec::new() };
    let found = list.inside().find_map(|extension| {
        let mut fields = extension.inside();
        let id = fields.next_of(OID)?;
        let _whether_critical = fields.next_of(BOOLEAN);
        let value = fields.next_of(OCTETS)?;
        (id.content == ALTERNATIVE_NAMES).then_some(value)
    });
    let names = found.and_then(|value| value.inside().next_of(SEQUENCE));
    names.map(|names| names.inside().filter_map(alternative_name).collect()).unwrap_or_default()
}

fn alternative_name(name: Element<'_>) -> Option<(AlternativeName, String)> {
    let kind = match name.tag {
        0x81 => AlternativeName::Email,
        0x82 => AlternativeName::Dns,
        0x86 => AlternativeName::Uri,
        0x87 => {
            let address = match name.content.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(name.content).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(name.content).ok()?),
            };
            return Some((AlternativeName::Ip, address.to_string()));
        }
        _ => return None,
    };
    Some((kind, String::from_utf8(name.content.to_vec()).ok()?))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn moment(time: Element<'_>) -> Option<Moment> {
    let digits = time.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let (year, rest) = match time.tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            // Two digits stand for 1950 to 2049.
            (number(year) + if number(year) < 50 { 2000 } else { 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year), rest)
        }
        _ => return None,
    };
    let parts: Vec<i64> = rest.chunks(2).map(number).collect();
    let [month, day, hour, minute, second] = <[i64; 5]>::try_from(parts).ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || 23 < hour || 59 < minute || 60 < second {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    Some(Moment { text, seconds })
}

/// Days from 1970 to a date. Years are counted from March, so that the day that some have more is the last of one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    /// From March of the year 0 to 1970.
    const TO_1970: i64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - TO_1970
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn made() -> Vec<u8> {
        let mut params =
            CertificateParams::new(vec!["one.example".to_owned(), "two.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress("192.0.2.7".parse().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@b.example".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("amqps://x.example".try_into().unwrap()));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Acme, Inc.");
        params.distinguished_name.push(DnType::CommonName, "client");
        params.not_before = rcgen::date_time_ymd(2020, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn con_22_a_certificate_has_names_of_several_kinds() {
        let certificate = Certificate::read(&made()).unwrap();
        assert_eq!(certificate.subject, "CN=client,O=Acme\\, Inc.");
        assert_eq!(certificate.issuer, certificate.subject);
        assert_eq!(certificate.validity(), "2020-02-29T00:00:00Z - 2051-01-01T00:00:00Z");
        let name = |from, kind, index| certificate.login_name(LoginName { from, kind, index });
        let dns = AlternativeName::Dns;
        assert_eq!(name(LoginFrom::DistinguishedName, dns, 0).unwrap(), certificate.subject);
        assert_eq!(name(LoginFrom::CommonName, dns, 0).unwrap(), "client");
        for (kind, index, expected) in [
            (dns, 0, Some("one.example")),
            (dns, 1, Some("two.example")),
            (dns, 2, None),
            (AlternativeName::Ip, 0, Some("192.0.2.7")),
            (AlternativeName::Email, 0, Some("a@b.example")),
            (AlternativeName::Uri, 0, Some("amqps://x.example")),
        ] {
            assert_eq!(name(LoginFrom::AlternativeName, kind, index).as_deref(), expected);
        }
    }

    #[test]
    fn moments_count_from_1970() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000229120000Z", Some(951_825_600)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "19691231235959Z", Some(-1)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "7001010000-1Z", None),
            (UTC_TIME, "700101000000", None),
            (INTEGER, "700101000000Z", None),
        ] {
            let read = moment(Element { tag, content: text.as_bytes() });
            assert_eq!(read.map(|moment| moment.seconds), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(mut octets in Just(made()), at in any::<prop::sample::Index>(), octet: u8) {
            let at = at.index(octets.len());
            octets[at] = octet;
            let _either = Certificate::read(&octets);
            let _either = Certificate::read(&octets[..at]);
        }
    }
}
