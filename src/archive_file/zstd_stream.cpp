// See zstd_stream.hpp.
#include "archive_file/zstd_stream.hpp"

#include <new>
#include <optional>
#include <utility>

#include <pthread.h>
#include <signal.h>

#include <zstd.h>

namespace privacy_scan::archive_file
{

namespace
{

std::size_t checked(std::size_t code)
{
    if (ZSTD_isError(code))
        throw ZstdError(std::string("zstd: ") + ZSTD_getErrorName(code));
    return code;
}

constexpr int job_bytes = 1 << 20;

// A thread inherits the signals that are blocked where it is made: those of this process are for the caller's.
class WithoutSignals
{
  public:
    WithoutSignals()
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    WithoutSignals(const WithoutSignals &) = delete;
    WithoutSignals &operator=(const WithoutSignals &) = delete;
    ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};

} // namespace

// A libzstd that was built without threads refuses the number of workers, and compresses here.
ZstdWriter::ZstdWriter(int level, Sink sink, Compression compression)
    : context_(ZSTD_createCCtx()), sink_(std::move(sink)), buffer_(ZSTD_CStreamOutSize())
{
    if (!context_)
        throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
    if (compression == Compression::here)
        return;
    ZSTD_CCtx_setParameter(context_, ZSTD_c_nbWorkers, 1);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_jobSize, job_bytes);
    makes_thread_ = true;
}

ZstdWriter::~ZstdWriter()
{
    ZSTD_freeCCtx(context_);
}

// The first one makes the thread.
std::size_t ZstdWriter::step(ZSTD_outBuffer_s &out, ZSTD_inBuffer_s &in, bool is_last)
{
    std::optional<WithoutSignals> waiting;
    if (std::exchange(makes_thread_, false))
        waiting.emplace();
    return checked(ZSTD_compressStream2(context_, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue));
}

void ZstdWriter::compress(const char *data, std::size_t size, bool is_last)
{
    ZSTD_inBuffer in{data, size, 0};
    for (bool is_done = false; !is_done;) {
        ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
        const std::size_t left = step(out, in, is_last);
        if (out.pos > 0)
            sink_(buffer_.data(), out.pos);
        is_done = is_last ? left == 0 : in.pos == in.size;
    }
}

void ZstdWriter::write(const char *data, std::size_t size)
{
    compress(data, size, false);
}

void ZstdWriter::finish()
{
    compress(nullptr, 0, true);
}

ZstdReader::ZstdReader(Source source)
    : context_(ZSTD_createDCtx()), source_(std::move(source)), buffer_(ZSTD_DStreamInSize())
{
    if (!context_)
        throw std::bad_alloc();
}

ZstdReader::~ZstdReader()
{
    ZSTD_freeDCtx(context_);
}

bool ZstdReader::refill()
{
    at_ = 0;
    end_ = source_(buffer_.data(), buffer_.size());
    return end_ > 0;
}

void ZstdReader::require_end()
{
    is_ended_ = true;
    if (at_ < end_ || refill())
        throw ZstdError("zstd: something follows the end");
}

std::size_t ZstdReader::read(char *data, std::size_t size)
{
    while (!is_ended_) {
        if (at_ == end_ && !may_hold_more_ && !refill())
            throw ZstdError("zstd: it ends too early");
        ZSTD_inBuffer in{buffer_.data(), end_, at_};
        ZSTD_outBuffer out{data, size, 0};
        const std::size_t left = checked(ZSTD_decompressStream(context_, &out, &in));
        at_ = in.pos;
        may_hold_more_ = out.pos == out.size;
        if (left == 0)
            require_end();
        if (out.pos > 0)
            return out.pos;
    }
    return 0;
}

} // namespace privacy_scan::archive_file
