// What the fuzzers share: the input as a stream of choices, and a check that ends the run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace fuzz
{

inline volatile std::uint8_t sink; // what is read must not be optimized away

inline void check(bool condition)
{
    if (!condition)
        std::abort();
}

class Input
{
  public:
    Input(const std::uint8_t *data, std::size_t size) : data_(data), end_(data + size) {}

    // From [0, below); 0 when the input has run out.
    int number(int below)
    {
        if (below > 256)
            return static_cast<int>(large(static_cast<std::size_t>(below)));
        return data_ == end_ ? 0 : *data_++ % below;
    }

    std::size_t large(std::size_t below)
    {
        std::size_t value = 0;
        for (int i = 0; i < 3 && data_ != end_; ++i)
            value = value << 8 | *data_++;
        return below == 0 ? 0 : value % below;
    }

    std::string text(int length)
    {
        const auto size = std::min<std::size_t>(static_cast<std::size_t>(length), left());
        std::string out(reinterpret_cast<const char *>(data_), size);
        data_ += size;
        return out;
    }

    std::vector<std::uint8_t> rest()
    {
        std::vector<std::uint8_t> out(data_, end_);
        data_ = end_;
        return out;
    }

    std::size_t left() const { return static_cast<std::size_t>(end_ - data_); }

  private:
    const std::uint8_t *data_, *end_;
};

} // namespace fuzz
