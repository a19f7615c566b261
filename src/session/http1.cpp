// HTTP/1 around Beast's parser, which sees each head whole and bodies as they come.

#include "http1_mending.hpp"
#include <netring_asio/session/detail/byte_reader.hpp>
#include <netring_asio/session/http1.hpp>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

namespace netring_asio::session {
namespace {

namespace beast = boost::beast;

struct pending_request {
    std::string method;
    timestamp time;
};

/// Gathers a body up to a limit, or in pieces.
class body_collector {
public:
    body_collector(http1_options const& options, side from, output<http1::message>& out, http1::content& content)
        : options_{options}
        , from_{from}
        , out_{&out}
        , content_{content} {}

    void add(std::string_view bytes, bool missing) {
        if (missing)
            content_.missing_bytes += bytes.size();
        if (options_.stream_bodies() == 0) {
            content_.body.append(
                bytes.substr(0, options_.max_body() - std::min(content_.body.size(), options_.max_body())));
            content_.body_size += bytes.size();
            return;
        }
        while (!bytes.empty()) {
            if (missing != piece_.missing)
                flush(false);
            piece_.missing = missing;
            auto const part = bytes.substr(0, options_.stream_bodies() - piece_.bytes.size());
            piece_.bytes.append(part);
            bytes.remove_prefix(part.size());
            content_.body_size += part.size();
            if (piece_.bytes.size() == options_.stream_bodies())
                flush(false);
        }
    }

    void end() {
        piece_.complete = content_.complete;
        if (options_.stream_bodies() != 0)
            flush(true);
    }

    void set_output(output<http1::message>& out) noexcept { out_ = &out; }
    std::size_t held() const noexcept { return piece_.bytes.size(); }

private:
    void flush(bool last) {
        if (piece_.bytes.empty() && !last)
            return;
        piece_.last = last;
        piece_.offset = content_.body_size - piece_.bytes.size();
        (*out_)(from_, http1::message{std::move(piece_)});
        piece_ = {};
    }

    http1_options const& options_;
    side from_;
    output<http1::message>* out_;
    http1::content& content_;
    http1::body_piece piece_;
};

/// One message, as Beast's parser tells it.
template <bool IsRequest>
class message_parser final : public beast::http::basic_parser<IsRequest> {
public:
    using message = std::conditional_t<IsRequest, http1::request, http1::response>;

    message_parser(http1_options const& options, side from, output<http1::message>& out)
        : collector{options, from, out, result} {
        this->eager(true);
        this->body_limit(boost::none);
        this->header_limit(0xffffffff);
    }

    message result;
    body_collector collector;
    std::uint64_t chunk_left = 0;
    bool has_chunk = false;
    bool missing = false; // what is put in stands for bytes that were not captured

private:
    using view = beast::string_view;
    using beast_error = beast::error_code;
    static std::string_view std_view(view v) noexcept { return {v.data(), v.size()}; }

    void on_request_impl(beast::http::verb, view method, view target, int version, beast_error&) override {
        if constexpr (IsRequest) {
            result.method = std_view(method);
            result.target = std_view(target);
            result.version = static_cast<unsigned>(version);
        }
    }
    void on_response_impl(int status, view reason, int version, beast_error&) override {
        if constexpr (!IsRequest) {
            result.status = static_cast<unsigned>(status);
            result.reason = std_view(reason);
            result.version = static_cast<unsigned>(version);
        }
    }
    void on_field_impl(beast::http::field, view name, view value, beast_error&) override {
        result.fields.append(std_view(name), std_view(value));
    }
    void on_header_impl(beast_error&) override {}
    void on_body_init_impl(boost::optional<std::uint64_t> const&, beast_error&) override {}
    std::size_t on_body_impl(view body, beast_error&) override {
        collector.add(std_view(body), missing);
        return body.size();
    }
    void on_chunk_header_impl(std::uint64_t size, view, beast_error&) override {
        chunk_left = size;
        has_chunk = has_chunk || size != 0;
    }
    std::size_t on_chunk_body_impl(std::uint64_t, view body, beast_error&) override {
        chunk_left -= body.size();
        collector.add(std_view(body), missing);
        return body.size();
    }
    void on_finish_impl(beast_error&) override {}
};

bool is_status_line(std::string_view line) noexcept {
    return line.size() >= 12 && line.starts_with("HTTP/1.") && line[7] >= '0' && line[7] <= '1' && line[8] == ' ' &&
           std::all_of(line.begin() + 9, line.begin() + 12, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_request_line(std::string_view line) noexcept {
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n'))
        line.remove_suffix(1);
    auto const method = line.substr(0, line.find(' '));
    return http1::is_method(method) && line.size() > method.size() + 10 &&
           (line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0"));
}

/// What Beast takes: lines that end with CR and LF. Others end them with LF alone, and everybody accepts that.
void normalise(std::string& head) {
    auto const is_bare = [&](std::size_t at) { return head[at] == '\n' && (at == 0 || head[at - 1] != '\r'); };
    auto line_end = head.find('\n');
    while (line_end != head.npos && !is_bare(line_end))
        line_end = head.find('\n', line_end + 1);
    if (line_end == head.npos)
        return;
    std::string result;
    for (std::size_t i = 0; i != head.size(); ++i) {
        if (is_bare(i))
            result += '\r';
        result += head[i];
    }
    head = std::move(result);
}

/// What both directions of a connection know.
struct shared_state {
    http1_options const& options;
    std::deque<pending_request> requests;
    bool tunnel = false;
    std::array<bool, 2> is_alien{}; // what the side sends does not begin like a message
    std::array<bool, 2> finished{};
    bool any = false; // a message came
};

/// The messages of one direction.
template <bool IsRequest>
class direction {
public:
    explicit direction(shared_state& shared) noexcept
        : shared_{shared} {}

    error_code feed(side from, std::string_view bytes, timestamp time, output<http1::message>& out) {
        while (!bytes.empty() && !shared_.tunnel) {
            switch (state_) {
            case state::lost:
                search(bytes);
                break;
            case state::head:
                if (auto const error = take_head(from, bytes, time, out))
                    return error;
                break;
            case state::body:
                if (auto const error = take_body(from, bytes, time, out))
                    return error;
                break;
            }
        }
        return {};
    }

    error_code gap(side from, std::uint64_t length, timestamp time, output<http1::message>& out) {
        if (state_ == state::body && length != 0 && fill(from, length, out))
            return {};
        give_up(from, time, out);
        lose();
        shared_.requests.clear();
        return {};
    }

    void finish(side from, timestamp time, output<http1::message>& out) {
        if (state_ != state::body)
            return give_up(from, time, out);
        beast::error_code error;
        parser_->put_eof(error);
        parser_->result.complete = !error && parser_->is_done();
        end_message(from, out);
    }

    std::size_t held() const noexcept {
        return buffer_.size() +
               (parser_ ? parser_->result.body.size() + parser_->result.fields.characters() + parser_->collector.held()
                        : 0);
    }

    /// Tells what came of a message.
    void give_up(side from, timestamp time, output<http1::message>& out) {
        if (state_ == state::head && !shared_.tunnel)
            if (auto const end = buffer_.rfind('\n'); end != buffer_.npos) {
                buffer_.resize(end + 1);
                buffer_ += "\r\n";
                static_cast<void>(parse_head(from, time, out, true));
            }
        if (state_ != state::body)
            return;
        parser_->result.complete = false;
        end_message(from, out);
    }

private:
    enum class state : std::uint8_t { head, body, lost };

    void lose() {
        state_ = state::lost;
        buffer_.clear();
        skipping_ = false;
    }

    /// Looks for a line that begins a message.
    void search(std::string_view& bytes) {
        constexpr std::size_t max_line = 8192;
        auto const end = bytes.find('\n');
        auto const part = bytes.substr(0, end == bytes.npos ? end : end + 1);
        bytes.remove_prefix(part.size());
        if (!skipping_)
            buffer_.append(part.substr(0, max_line + 1 - buffer_.size()));
        if (buffer_.size() > max_line) {
            skipping_ = true;
            buffer_.clear();
        }
        if (end == bytes.npos || part.back() != '\n')
            return;
        if (!skipping_ && (IsRequest ? is_request_line(buffer_) : is_status_line(buffer_))) {
            state_ = state::head;
            scanned_ = 0;
            return;
        }
        skipping_ = false;
        buffer_.clear();
    }

    error_code take_head(side from, std::string_view& bytes, timestamp time, output<http1::message>& out) {
        if (buffer_.empty()) { // empty lines before a message mean nothing (RFC 9112, 2.2)
            bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
            scanned_ = 0;
            if (bytes.empty())
                return {};
        }
        auto const before = buffer_.size();
        buffer_.append(bytes.substr(0, shared_.options.max_head() - before));
        auto const end = end_of_head();
        if (end == 0) {
            bytes.remove_prefix(buffer_.size() - before);
            if (buffer_.size() >= shared_.options.max_head())
                return error::message_too_long;
            return is_plausible() ? error_code{} : reject(from, time, out);
        }
        bytes.remove_prefix(end - before);
        buffer_.resize(end);
        auto const error = parse_head(from, time, out);
        return error == error::malformed_message ? reject(from, time, out) : error;
    }

    /// What is buffered does not begin like a message: looks on from the second line. It is something else where both
    /// sides send such.
    error_code reject(side from, timestamp time, output<http1::message>& out) {
        auto const head = std::exchange(buffer_, {});
        auto const end = head.find('\n');
        lose();
        skipping_ = end == head.npos;
        behind_other_ = shared_.is_alien[index(from)] = true;
        if (shared_.is_alien[0] && shared_.is_alien[1])
            return error::malformed_message;
        return skipping_ ? error_code{} : feed(from, std::string_view{head}.substr(end + 1), time, out);
    }

    // Where a head that is buffered ends, or 0.
    std::size_t end_of_head() {
        for (auto at = buffer_.find('\n', scanned_); at != buffer_.npos; at = buffer_.find('\n', at + 1)) {
            scanned_ = at; // to be looked at again when more has come
            if (buffer_.size() > at + 1 && buffer_[at + 1] == '\n')
                return at + 2;
            if (buffer_.size() > at + 2 && buffer_[at + 1] == '\r' && buffer_[at + 2] == '\n')
                return at + 3;
            if (buffer_.size() <= at + 2)
                return 0;
        }
        scanned_ = buffer_.size();
        return 0;
    }

    // So that a flow of something else is not kept for 64 KiB.
    bool is_plausible() const noexcept {
        auto const line = std::string_view{buffer_}.substr(0, std::min<std::size_t>(buffer_.find_first_of("\r\n"), 8));
        if constexpr (IsRequest)
            return std::all_of(line.begin(), std::find(line.begin(), line.end(), ' '),
                               [](char c) { return c > 0x20 && c < 0x7f; });
        else
            return std::string_view{"HTTP/"}.starts_with(line.substr(0, 5));
    }

    error_code parse_head(side from, timestamp time, output<http1::message>& out, bool cut = false) {
        normalise(buffer_);
        if (!IsRequest && buffer_.size() > 12 && buffer_[12] == '\r')
            buffer_.insert(12, 1, ' '); // no reason, and not the space before it
        bool framed = !cut;
        if (!try_head(from, time, out)) {
            auto mended = http1::mend(buffer_, IsRequest);
            if (!mended)
                return error::malformed_message;
            buffer_ = mended->text;
            if (!try_head(from, time, out)) {
                buffer_ = http1::without_framing(mended->text);
                framed = framed && !IsRequest; // a response then lasts until the connection ends
                if (!try_head(from, time, out))
                    return error::malformed_message;
            }
            auto& message = parser_->result;
            message.error = error::malformed_message;
            message.version = mended->version;
            message.fields = std::move(mended->fields);
            if constexpr (IsRequest) {
                message.method = mended->method;
                message.target = mended->target;
            }
        }
        auto& message = parser_->result;
        if constexpr (IsRequest) {
            if (shared_.requests.size() == shared_.options.max_pipelined())
                return error::message_too_long;
            shared_.requests.push_back({message.method, time});
        } else {
            if (message.status / 100 != 1 && !shared_.requests.empty())
                shared_.requests.pop_front();
            shared_.tunnel =
                message.status == 101 || (message.request_method == "CONNECT" && message.status / 100 == 2);
        }
        buffer_.clear();
        state_ = state::body;
        shared_.is_alien[index(from)] = false;
        shared_.any = true;
        if (std::exchange(behind_other_, false))
            message.error = error::malformed_message;
        message.complete = framed;
        if (shared_.options.stream_bodies() != 0)
            out(from, http1::message{std::exchange(message, {})});
        if (!framed) {
            message.complete = false;
            end_message(from, out);
            lose();
        } else if (parser_->is_done()) {
            end_message(from, out);
        }
        return {};
    }

    /// Has Beast look at the head that is buffered.
    bool try_head(side from, timestamp time, output<http1::message>& out) {
        parser_.emplace(shared_.options, from, out);
        auto& message = parser_->result;
        message.fields.reserve(static_cast<std::size_t>(std::count(buffer_.begin(), buffer_.end(), '\n')),
                               buffer_.size());
        if constexpr (!IsRequest)
            if (!shared_.requests.empty()) {
                auto const& request = shared_.requests.front();
                message.request_method = request.method;
                message.latency = time - request.time;
                auto const accepted = buffer_.size() > 9 && buffer_[9] == '2';
                parser_->skip(request.method == "HEAD" || (request.method == "CONNECT" && accepted));
            }
        beast::error_code error;
        auto const used = parser_->put(boost::asio::buffer(buffer_), error);
        return (!error || error == beast::http::error::need_more) && parser_->is_header_done() &&
               used == buffer_.size();
    }

    error_code take_body(side from, std::string_view& bytes, timestamp time, output<http1::message>& out) {
        parser_->collector.set_output(out);
        auto const was_buffered = buffer_.size();
        auto input = bytes;
        if (was_buffered != 0) { // the head of a chunk, or the trailer, that is not complete yet
            auto const room = shared_.options.max_head() - was_buffered;
            buffer_.append(bytes.substr(0, room));
            input = buffer_;
            // Beast asserts that a first chunk that is the last, too, has its five bytes when it looks at it again.
            if (!parser_->has_chunk && buffer_.size() < 5 && buffer_.front() == '0' && input.find('\n') != input.npos) {
                bytes.remove_prefix(buffer_.size() - was_buffered);
                return {};
            }
        }
        std::size_t used = 0;
        beast::error_code error;
        while (used != input.size() && !parser_->is_done() && !error)
            used += parser_->put(boost::asio::buffer(input.data() + used, input.size() - used), error);
        if (error && error != beast::http::error::need_more) {
            std::string const rest{was_buffered == 0 ? std::string_view{} : input.substr(used)};
            bytes.remove_prefix(was_buffered == 0 ? used : input.size() - was_buffered);
            parser_->result.error = error::malformed_message;
            parser_->result.complete = false;
            end_message(from, out);
            lose();
            return feed(from, rest, time, out);
        }
        if (was_buffered == 0) {
            bytes.remove_prefix(used);
        } else {
            auto const appended = buffer_.size() - was_buffered;
            if (used >= was_buffered) {
                bytes.remove_prefix(used - was_buffered);
                buffer_.clear();
            } else {
                bytes.remove_prefix(appended);
                buffer_.erase(0, used);
            }
        }
        if (parser_->is_done()) {
            buffer_.clear();
            end_message(from, out);
        } else if (error && buffer_.empty() && !bytes.empty()) {
            buffer_.assign(bytes.substr(0, shared_.options.max_head()));
            bytes.remove_prefix(buffer_.size());
        }
        if (buffer_.size() >= shared_.options.max_head())
            return error::message_too_long;
        return {};
    }

    /// Lets a hole in a body pass as zeros, if the body reaches beyond it.
    bool fill(side from, std::uint64_t length, output<http1::message>& out) {
        if (!buffer_.empty())
            return false;
        auto const left = parser_->chunked() ? boost::optional<std::uint64_t>{parser_->chunk_left}
                                             : parser_->content_length_remaining();
        if (left && *left < length)
            return false;
        static constexpr std::array<char, 65536> zeros{};
        parser_->collector.set_output(out);
        parser_->missing = true;
        beast::error_code error;
        while (length != 0 && (!error || error == beast::http::error::need_more)) {
            auto const part = std::min<std::uint64_t>(length, zeros.size());
            auto const used = parser_->put(boost::asio::buffer(zeros.data(), part), error);
            if (used == 0)
                break;
            length -= used;
        }
        parser_->missing = false;
        if (length == 0 && parser_->is_done())
            end_message(from, out);
        return length == 0;
    }

    void end_message(side from, output<http1::message>& out) {
        auto& p = *parser_;
        p.collector.set_output(out);
        if (shared_.options.stream_bodies() != 0)
            p.collector.end();
        else
            out(from, http1::message{std::move(p.result)});
        parser_.reset();
        state_ = state::head;
        buffer_.clear();
        scanned_ = 0;
    }

    shared_state& shared_;
    std::string buffer_; // the part of a line, a head or a chunk's head that is not complete yet
    std::size_t scanned_ = 0;
    std::optional<message_parser<IsRequest>> parser_;
    state state_ = state::head;
    bool skipping_ = false;
    bool behind_other_ = false; // than messages
};

} // namespace

class http1_parser::conversation {
public:
    explicit conversation(http1_options const& chosen)
        : options{chosen}
        , shared{options, {}, false, {}, {}, false}
        , requests{shared}
        , responses{shared} {}

    http1_options options;
    shared_state shared;
    direction<true> requests;
    direction<false> responses;
};

http1_parser::http1_parser(http1_options const& options)
    : options_{options} {}
http1_parser::http1_parser(http1_parser const& prototype)
    : options_{prototype.options_} {}
http1_parser::http1_parser(http1_parser&&) noexcept = default;
http1_parser& http1_parser::operator=(http1_parser&&) noexcept = default;
http1_parser::~http1_parser() = default;

error_code http1_parser::feed(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out) {
    if (!conversation_)
        conversation_ = std::make_unique<conversation>(options_);
    auto& c = *conversation_;
    auto const text = detail::as_text(bytes);
    return from == side::initiator ? c.requests.feed(from, text, time, out) : c.responses.feed(from, text, time, out);
}

error_code http1_parser::gap(side from, std::uint64_t length, timestamp time, output<message_type>& out) {
    if (!conversation_)
        conversation_ = std::make_unique<conversation>(options_);
    auto& c = *conversation_;
    return from == side::initiator ? c.requests.gap(from, length, time, out) : c.responses.gap(from, length, time, out);
}

error_code http1_parser::finish(side from, timestamp time, output<message_type>& out) {
    if (!conversation_)
        return {};
    auto& c = *conversation_;
    if (from == side::initiator)
        c.requests.finish(from, time, out);
    else
        c.responses.finish(from, time, out);
    c.shared.finished[index(from)] = true;
    auto const is_other = !c.shared.any && (c.shared.is_alien[0] || c.shared.is_alien[1]);
    return is_other && c.shared.finished[0] && c.shared.finished[1] ? error_code{error::malformed_message}
                                                                    : error_code{};
}

void http1_parser::reset(timestamp time, output<message_type>& out) {
    if (!conversation_)
        return;
    conversation_->requests.give_up(side::initiator, time, out);
    conversation_->responses.give_up(side::responder, time, out);
}

std::size_t http1_parser::held() const noexcept {
    if (!conversation_)
        return 0;
    auto const& c = *conversation_;
    return c.requests.held() + c.responses.held() + c.shared.requests.size() * sizeof(pending_request);
}

bool http1_parser::done() const noexcept { return conversation_ && conversation_->shared.tunnel; }

match http1_parser::probe(side, std::span<std::byte const> bytes) {
    auto text = detail::as_text(bytes);
    text.remove_prefix(std::min(text.find_first_not_of("\r\n"), text.size()));
    for (std::string_view const begin :
         {"HTTP/1.", "GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "DELETE ", "PATCH ", "TRACE "}) {
        if (text.starts_with(begin))
            return match::yes;
        if (begin.starts_with(text))
            return match::maybe;
    }
    auto const line = text.substr(0, text.find('\n'));
    if (line.size() != text.size())
        return is_request_line(line) ? match::yes : match::no;
    auto const method = line.substr(0, line.find(' '));
    auto const goes_on = method.size() == line.size() && method.size() < 3;
    return goes_on || http1::is_method(method) ? match::maybe : match::no;
}

} // namespace netring_asio::session
