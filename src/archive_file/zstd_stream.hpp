// zstd by the stream, in bounded memory: one frame with a checksum of its content. Pure.
#pragma once

#include "archive_file/csv.hpp"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;
struct ZSTD_inBuffer_s;
struct ZSTD_outBuffer_s;

namespace privacy_scan::archive_file
{

// Where bytes go to.
using Sink = std::function<void(const char *, std::size_t)>;

constexpr int least_zstd_level = 1;
constexpr int most_zstd_level = 19; // above, both sides would need a window of more than 8 MB

// libzstd refused: a damaged file, or no memory.
class ZstdError : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

// Who compresses: the caller's own thread, or one of libzstd's beside it, in jobs of a megabyte, which takes a
// few megabytes more. That thread runs libzstd's code alone, and no signal ever reaches it.
enum class Compression { here, beside };

class ZstdWriter
{
  public:
    ZstdWriter(int level, Sink sink, Compression compression = Compression::here);
    ZstdWriter(const ZstdWriter &) = delete;
    ZstdWriter &operator=(const ZstdWriter &) = delete;
    ~ZstdWriter();

    void write(const char *data, std::size_t size);

    // Ends the frame. Nothing is written after it.
    void finish();

  private:
    void compress(const char *data, std::size_t size, bool is_last);
    std::size_t step(ZSTD_outBuffer_s &out, ZSTD_inBuffer_s &in, bool is_last);

    ZSTD_CCtx_s *context_;
    Sink sink_;
    std::vector<char> buffer_;
    bool makes_thread_ = false; // the next step
};

class ZstdReader
{
  public:
    explicit ZstdReader(Source source);
    ZstdReader(const ZstdReader &) = delete;
    ZstdReader &operator=(const ZstdReader &) = delete;
    ~ZstdReader();

    // Up to so many bytes; 0 at the end, which is that of the frame and of the source. Error: ZstdError,
    // where the source ends before, goes on after it, or holds something else.
    std::size_t read(char *data, std::size_t size);

  private:
    bool refill();
    void require_end();

    ZSTD_DCtx_s *context_;
    Source source_;
    std::vector<char> buffer_;
    std::size_t at_ = 0, end_ = 0;
    bool may_hold_more_ = false; // the decoder, since the last output was full
    bool is_ended_ = false;
};

} // namespace privacy_scan::archive_file
