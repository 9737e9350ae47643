//! Compiles `proto/regatta/v1` without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../regatta");
    let set = protox::compile(["regatta/v1/session.proto", "regatta/v1/record.proto"], [".."])?;
    tonic_prost_build::configure()
        // Equal values have equal bytes: reports are compared by hash.
        .btree_map(".")
        // Reports and their slices are passed on without a copy.
        .bytes(".regatta.v1.ReportChunk.data")
        .bytes(".regatta.v1.Sealed.content")
        .compile_fds(set)?;
    Ok(())
}
