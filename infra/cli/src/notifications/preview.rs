//! Every mail and note as recipients get them, made from the contracts' samples.

use std::{
    fs,
    path::{Path, PathBuf},
};

use askama::Template;
use clap::Args;
use events::{
    Cause, Contract, Draft, EventId, MemberId, Sequence, Stamp, Timestamp,
    contracts::{
        alert::TreasuryBackingLow,
        cloud::{
            Burned, Minted, RateCardApproved, RateCardCreated, Redeemed, Staked, SyncDiverged,
            Transferred, Unstaked,
        },
        credit,
        loan::{DrawApproved, PaidOff, PaymentReceived, PaymentScheduleGenerated},
        order,
        wallet::{EscrowPartialSettled, EscrowSettled},
    },
};
use mail::{
    MailKey,
    texts::{Content, Earned, Notice, Writer},
};
use serde::Serialize;
use views::notes::Note;

use crate::output::{self, CliError};

/// Write every mail as HTML and as text, made from the contracts' samples, with an index: {"out", "written"}
///
/// Calls nothing and needs no stack.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  millrace notifications preview --out mail-preview")]
pub(crate) struct Arguments {
    #[command(flatten)]
    _output: output::AlwaysJson,
    /// The folder to write to; it is created if it does not exist
    #[arg(long, default_value = "mail-preview")]
    out: PathBuf,
    /// The application's URL, without a slash at the end
    #[arg(long, env = "APP_URL", default_value = "https://app.example.com")]
    app_url: String,
    /// US dollars per credit
    #[arg(long, env = "CLOUD_USD_RATE", default_value = "10")]
    usd_rate: String,
}

/// The recipient of the samples.
const NAME: &str = "Ada Lovelace";

/// The mail and the note of one sample.
struct Preview {
    /// The notice's name. `-partial` marks the second event that leads to the same mail, `-minimal` the sample without
    /// optional fields.
    name: String,
    event_type: &'static str,
    mail: Option<Content>,
    note: Option<Note>,
}

#[derive(Template)]
#[template(path = "mails.html")]
struct Index<'a> {
    app_url: &'a str,
    previews: &'a [Preview],
}

#[derive(Debug, Serialize)]
struct Answer {
    out: PathBuf,
    written: Vec<String>,
}

/// Both samples of a contract, frozen beside its schema: with every optional field, and with none.
macro_rules! samples {
    ($path:literal) => {
        [
            (
                "",
                include_str!(concat!(
                    "../../../../shared/events/samples/",
                    $path,
                    "/full.json"
                )),
            ),
            (
                "-minimal",
                include_str!(concat!(
                    "../../../../shared/events/samples/",
                    $path,
                    "/minimal.json"
                )),
            ),
        ]
    };
}

/// Adds the previews of a contract's samples, one for each of these notices.
macro_rules! shown {
    ($previews:ident, $writer:ident, $path:literal, $event:ty, $($notice:ident),+) => {
        for (suffix, sample) in samples!($path) {
            let event: $event = serde_json::from_str(sample)?;
            $($previews.push(preview($writer, suffix, &event, &Notice::$notice(&event))?);)+
        }
    };
}

fn previews(writer: &Writer) -> Result<Vec<Preview>, CliError> {
    let mut all = Vec::new();
    shown!(all, writer, "cloud/minted-v1", Minted, Added);
    shown!(
        all,
        writer,
        "cloud/transferred-v1",
        Transferred,
        Sent,
        Received
    );
    shown!(all, writer, "cloud/redeemed-v1", Redeemed, Redeemed);
    shown!(all, writer, "cloud/burned-v1", Burned, Burned);
    shown!(all, writer, "cloud/staked-v1", Staked, Staked);
    shown!(all, writer, "cloud/unstaked-v1", Unstaked, Unstaked);
    shown!(
        all,
        writer,
        "cloud/rate-card-created-v1",
        RateCardCreated,
        RateCardCreated
    );
    shown!(
        all,
        writer,
        "cloud/rate-card-approved-v1",
        RateCardApproved,
        RateCardApproved
    );
    shown!(
        all,
        writer,
        "cloud/sync-diverged-v1",
        SyncDiverged,
        SyncDiverged
    );
    shown!(
        all,
        writer,
        "alert/treasury-backing-low-v1",
        TreasuryBackingLow,
        BackingLow
    );
    for (suffix, sample) in samples!("wallet/escrow-settled-v1") {
        let event: EscrowSettled = serde_json::from_str(sample)?;
        let earned = Earned::whole(&event, Timestamp::EPOCH);
        let notice = Notice::EarningsReceived(earned);
        all.push(preview(writer, suffix, &event, &notice)?);
    }
    // Another event leads to the same mail.
    for (suffix, sample) in samples!("wallet/escrow-partial-settled-v1") {
        let event: EscrowPartialSettled = serde_json::from_str(sample)?;
        if let Some(earned) = Earned::part(&event, Timestamp::EPOCH) {
            let notice = Notice::EarningsReceived(earned);
            all.push(preview(
                writer,
                &format!("-partial{suffix}"),
                &event,
                &notice,
            )?);
        }
    }
    shown!(
        all,
        writer,
        "loan/payment-schedule-generated-v1",
        PaymentScheduleGenerated,
        LoanFunded,
        LoanPlanChanged
    );
    shown!(
        all,
        writer,
        "loan/payment-received-v1",
        PaymentReceived,
        LoanPaymentReceived
    );
    shown!(
        all,
        writer,
        "loan/draw-approved-v1",
        DrawApproved,
        LoanDrawApproved
    );
    shown!(all, writer, "loan/paid-off-v1", PaidOff, LoanPaidOff);
    shown!(
        all,
        writer,
        "order/created-v1",
        order::Created,
        OrderReceived
    );
    shown!(
        all,
        writer,
        "order/confirmed-v1",
        order::Confirmed,
        OrderConfirmed
    );
    shown!(
        all,
        writer,
        "order/rejected-v1",
        order::Rejected,
        OrderRejected
    );
    shown!(
        all,
        writer,
        "order/cancelled-v1",
        order::Cancelled,
        OrderCancelled
    );
    shown!(
        all,
        writer,
        "order/shipped-v1",
        order::Shipped,
        OrderShipped
    );
    shown!(all, writer, "order/stuck-v1", order::Stuck, OrderStuck);
    // The samples are of other changes, but the mail is written alike.
    shown!(
        all,
        writer,
        "credit/changed-v1",
        credit::Changed,
        CreditBlocked
    );
    Ok(all)
}

fn preview<C: Contract>(
    writer: &Writer,
    suffix: &str,
    event: &C,
    notice: &Notice<'_>,
) -> Result<Preview, CliError> {
    let envelope = Draft::of(event)?.seal(&Stamp {
        event_id: "00000000-0000-7000-8000-000000000000".parse::<EventId>()?,
        sequence: Sequence::new(1)?,
        now: Timestamp::EPOCH,
        cause: &Cause::default(),
    });
    let key = MailKey::of(
        &mail::identity(&envelope),
        &MemberId::new("member-1")?,
        notice.name(),
    );
    Ok(Preview {
        name: format!("{}{suffix}", notice.name()),
        event_type: C::TYPE,
        mail: writer.mail(notice, NAME, &key)?,
        note: notice.note(&envelope),
    })
}

/// Writes a folder of previews. Returns the names of the files.
fn write(out: &Path, writer: &Writer) -> Result<Vec<String>, CliError> {
    fs::create_dir_all(out).map_err(|error| format!("cannot create {}: {error}", out.display()))?;
    let mut written = Vec::new();
    let mut put = |name: String, text: &str| -> Result<(), CliError> {
        let path = out.join(&name);
        fs::write(&path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        written.push(name);
        Ok(())
    };
    let previews = previews(writer)?;
    for one in &previews {
        if let Some(mail) = &one.mail {
            put(format!("{}.html", one.name), &mail.html)?;
            put(format!("{}.txt", one.name), &mail.text)?;
        }
    }
    let index = Index {
        app_url: &writer.app_url,
        previews: &previews,
    };
    put("index.html".to_owned(), &index.render()?)?;
    Ok(written)
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let writer = Writer::of_settings(&arguments.app_url, &arguments.usd_rate)?;
    let written = write(&arguments.out, &writer)?;
    output::result(&Answer {
        out: arguments.out.clone(),
        written,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use super::*;

    fn writer() -> Writer {
        Writer::of_settings("https://app.example.com", "10").expect("settings")
    }

    #[test]
    fn every_mail_that_has_a_template_is_shown() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mail/templates");
        let templates: BTreeSet<String> = fs::read_dir(folder)
            .expect("the templates")
            .map(|entry| entry.expect("a file").file_name())
            .filter_map(|name| Some(name.to_str()?.split_once('.')?.0.to_owned()))
            .filter(|name| name != "layout")
            .collect();
        let previews = previews(&writer()).expect("renders");
        let shown: BTreeSet<String> = previews
            .iter()
            .filter(|one| one.mail.is_some() && !one.name.contains('-'))
            .map(|one| one.name.clone())
            .collect();
        assert_eq!(shown, templates);
        assert!(
            previews
                .iter()
                .all(|one| one.mail.is_some() || one.note.is_some())
        );
    }

    #[test]
    fn the_folder_holds_what_the_index_links_to() {
        let out = std::env::temp_dir().join(format!("millrace-preview-{}", std::process::id()));
        let written = write(&out, &writer()).expect("written");
        let index = fs::read_to_string(out.join("index.html")).expect("an index");
        let linked: Vec<&str> = index
            .split("href=\"")
            .skip(1)
            .filter_map(|after| after.split('"').next())
            .collect();
        assert!(linked.contains(&"staked.html") && linked.contains(&"staked-minimal.txt"));
        for name in &linked {
            assert!(
                written.iter().any(|one| one == name),
                "{name} was not written"
            );
            assert!(out.join(name).is_file(), "{name}");
        }
        assert_eq!(linked.len() + 1, written.len());
        // A redemption has a note but no mail.
        assert!(index.contains("Credits Redeemed"));
        fs::remove_dir_all(out).expect("removed");
    }
}
