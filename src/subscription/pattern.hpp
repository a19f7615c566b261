#pragma once

#include <re2/re2.h>
#include <string>
#include <string_view>

namespace netring_asio::subscription::detail {

/// A regular expression over bytes, matched in time linear in what it is searched in.
class pattern {
public:
    explicit pattern(std::string const& text)
        : compiled_{text, options()} {}

    bool ok() const { return compiled_.ok(); }
    std::string const& problem() const { return compiled_.error(); }
    bool found_in(std::string_view text) const {
        return RE2::PartialMatch(re2::StringPiece{text.data(), text.size()}, compiled_);
    }

private:
    static RE2::Options options() {
        RE2::Options result{RE2::CannedOptions::Latin1};
        result.set_log_errors(false);
        result.set_never_capture(true);
        result.set_dot_nl(true);
        result.set_max_mem(std::int64_t{1} << 20);
        return result;
    }
    RE2 compiled_;
};

} // namespace netring_asio::subscription::detail
