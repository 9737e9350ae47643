//! The requests as Parquet: the fields of `requests.jsonl`, under their names and in their order.

use std::sync::Arc;

use arrow_json::ReaderBuilder;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use regatta_types::ids::HostId;

use super::requests::{ALWAYS, FIELDS, Field as Kind, each};
use crate::folder::Out;
use regatta_figures::metrics::METRICS_SCHEMA;
use regatta_figures::source::{Cause, Run, each_host};

/// Bytes of a row group in memory, about: what a writer of large runs holds.
const GROUP: usize = 64 << 20;

/// Writes the whole file; rows in the order of `requests.jsonl`.
pub(crate) fn requests_parquet(run: &impl Run, out: &mut Out<'_>) -> Result<(), Cause> {
    let schema = Arc::new(schema());
    let version = KeyValue::new("regatta.metrics_schema".to_owned(), METRICS_SCHEMA.to_string());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(vec![version]));
    let mut file = ArrowWriter::try_new(out, schema.clone(), Some(properties.build()))?;
    let of_host = |host: &&HostId| {
        // Refuses a field that has no column.
        let mut rows = ReaderBuilder::new(schema.clone()).with_strict_mode(true).build_decoder();
        let mut wrong = None;
        each(run, host, |line| {
            let taken = rows.as_mut().map(|rows| rows.serialize(std::slice::from_ref(line)));
            if let Ok(Err(error)) = taken {
                wrong.get_or_insert(error);
            }
        })?;
        let flushed = wrong.map_or_else(|| rows.and_then(|mut rows| rows.flush()), Err);
        Ok(flushed)
    };
    each_host(&run.hosts(), of_host, |rows: Result<_, ArrowError>| {
        if let Some(rows) = rows? {
            file.write(&rows)?;
            if file.in_progress_size() > GROUP {
                file.flush()?;
            }
        }
        Ok::<(), Cause>(())
    })?;
    file.close()?;
    Ok(())
}

/// The columns.
fn schema() -> Schema {
    use DataType::{Boolean, Float64, Int64, UInt32, UInt64, Utf8};
    let list = |of| DataType::List(Arc::new(Field::new("item", of, true)));
    let failure = [("kind", Utf8), ("message", Utf8), ("http_status", UInt32)];
    let failure =
        DataType::Struct(failure.map(|(name, of)| Field::new(name, of, true)).to_vec().into());
    let column = |((name, kind), index): (&(&str, Kind), usize)| {
        let of = match kind {
            Kind::Text(_) => Utf8,
            Kind::Flag(_) => Boolean,
            Kind::Small(_) => UInt32,
            Kind::Count(_) => UInt64,
            Kind::Instant(_) => Int64,
            Kind::Real(_) => Float64,
            Kind::Reals(_) => list(Float64),
            Kind::Smalls(_) => list(UInt32),
            Kind::Failure(_) => failure.clone(),
        };
        Field::new(*name, of, index >= ALWAYS)
    };
    Schema::new(FIELDS.iter().zip(0..).map(column).collect::<Fields>())
}

#[cfg(test)]
mod tests {
    use arrow_json::LineDelimitedWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use serde_json::{Map, Value};

    use super::*;
    use crate::tests::hostile::poisoned;
    use crate::tests::page;
    use regatta_types::testing::WholeRun;

    fn written(run: &WholeRun) -> Vec<u8> {
        let mut file = Vec::new();
        requests_parquet(run, &mut file).unwrap();
        file
    }

    /// What JSON in which nothing is `null` has: Arrow writes no field that does not exist.
    fn known(line: &str) -> Map<String, Value> {
        let mut fields: Map<String, Value> = serde_json::from_str(line).unwrap();
        fields.retain(|_, value| !value.is_null());
        if let Some(Value::Object(failure)) = fields.get_mut("failure") {
            failure.retain(|_, value| !value.is_null());
        }
        fields
    }

    #[test]
    fn a_round_trip_gives_the_json_lines() {
        let run = poisoned("a \"text\" \u{1F680}");
        let (file, lines) = (bytes::Bytes::from(written(&run)), page(&run, "requests.jsonl"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let names: Vec<&str> = reader.schema().fields().iter().map(|f| f.name().as_str()).collect();
        let first: Map<String, Value> =
            serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(names.len(), first.len(), "every field has its column");
        let mut rows = LineDelimitedWriter::new(Vec::new());
        for batch in reader.build().unwrap() {
            rows.write(&batch.unwrap()).unwrap();
        }
        rows.finish().unwrap();
        let rows = String::from_utf8(rows.into_inner()).unwrap();
        let (rows, lines): (Vec<_>, Vec<_>) =
            (rows.lines().map(known).collect(), lines.lines().map(known).collect());
        assert_eq!(rows, lines);
        assert!(lines.iter().any(|line| line.contains_key("failure")), "some requests failed");
    }

    #[test]
    fn the_same_run_gives_the_same_bytes() {
        let run = poisoned("text");
        assert!(written(&run) == written(&run));
        assert!(written(&run).starts_with(b"PAR1"));
    }
}
