//! What the hosts give together, as `run.json` has it.

use regatta_figures::capacity::{Capacity, Decode, NoCapacity, Users};
use regatta_types::reading::Reading;
use serde::Serialize;

use crate::words::capacity::{lacking, member, why_left_out, why_none};

#[derive(Serialize)]
pub(super) struct Written<'a> {
    hosts: usize,
    left_out: Vec<WrittenLeftOut>,
    not_available: Vec<String>,
    decode: Option<&'a Decode>,
    peak_output_tps: Option<f64>,
    users: Option<&'a Users>,
    power_w: Option<f64>,
    power_unattributed: bool,
    price_per_million: Option<f64>,
}

#[derive(Serialize)]
struct WrittenLeftOut {
    host: String,
    why: String,
}

pub(super) fn written(capacity: &Result<Capacity, NoCapacity>) -> Reading<Written<'_>> {
    let capacity = match capacity {
        Ok(capacity) => capacity,
        Err(why) => return Reading::missing(why_none(*why)),
    };
    let left_out = capacity.left_out.iter();
    Reading::Known(Written {
        hosts: capacity.hosts,
        left_out: left_out
            .map(|out| WrittenLeftOut { host: member(&out.host), why: why_left_out(&out.why) })
            .collect(),
        not_available: capacity.not_available.iter().map(lacking).collect(),
        decode: capacity.decode.as_ref(),
        peak_output_tps: capacity.peak_output_tps,
        users: capacity.users.as_ref(),
        power_w: capacity.power_w,
        power_unattributed: capacity.power_unattributed,
        price_per_million: capacity.price_per_million,
    })
}
