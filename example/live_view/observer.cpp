#include "observer.hpp"

#include "flow_choice.hpp"
#include <netring_asio/pcap/writer.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <sstream>
#include <type_traits>
#include <utility>
#include <variant>

namespace live_view {
namespace {

namespace json = boost::json;
namespace session = nr::session;

constexpr std::size_t flows_shown = 200;
constexpr std::size_t talkers_shown = 20;
constexpr std::size_t walked_at_once = 16'384; // records, a few milliseconds

double seconds(nr::timestamp time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

template <class T>
std::string text(T const& value) {
    std::ostringstream out;
    out << value;
    return std::move(out).str();
}

json::object describe(nr::flow::direction_stats const& direction) {
    return {{"packets", direction.packets}, {"bytes", direction.wire_bytes}, {"payload", direction.payload_bytes}};
}

} // namespace

observer::tracker observer::make_tracker() {
    auto options = nr::flow::tracker_options{}.max_flows(200'000);
    return tracker{nr::flow::tracker<nr::flow::five_tuple>{nr::flow::five_tuple{}, options},
                   session::session_options{}.max_buffered(std::size_t{16} << 20),
                   session::use{session::dns_over_udp{}}.ports({53}),
                   session::use{session::multicast_dns{}}.ports({5353, 5355}),
                   session::use{session::dns_over_tcp{}}.ports({53}),
                   session::use{session::tls_handshake{}}.ports({443}),
                   session::use{session::quic_initial{}}};
}

observer::observer(net::io_context& context, nr::capture_options options, std::size_t history_bytes)
    : filter_{options.filter()}
    , capture_{context, options.on_link_down(nr::link_down_policy::reopen_by_name)}
    , history_{history_bytes} {}

net::awaitable<void> observer::watch() {
    nr::packet_batch batch;
    for (;;) {
        auto const [error, count] = co_await capture_.async_receive(batch, net::as_tuple(net::use_awaitable));
        if (error == net::error::operation_aborted)
            co_return;
        if (error)
            throw nr::system_error{error, interface()};
        tracker_.pass(passed());
        if (choice_)
            take((*choice_)(batch));
        else
            take(batch);
    }
}

template <class Packets>
void observer::take(Packets const& packets) {
    tracker_.track(packets, messages_);
    for (nr::packet_view const& packet : packets) {
        ++now_.packets;
        now_.bytes += packet.wire_length;
        history_.add(packet);
    }
    learn();
}

std::chrono::nanoseconds observer::passed() {
    auto const now = steady_clock::now();
    return now - std::exchange(last_look_, now);
}

void observer::learn() {
    for (auto const& event : messages_)
        learn(event);
    messages_.clear();
    auto const& events = tracker_.flow_events();
    now_.events += events.size();
    for (auto const& event : events)
        if (event.kind == nr::flow::event_kind::ended) {
            ended_.push_back(event);
            past_.add(event);
        }
}

void observer::learn(tracker::event_type const& event) {
    auto const* message = event.message();
    if (!message)
        return;
    auto const& server = event.orientation == nr::flow::orientation::a_to_b ? event.key.b : event.key.a;
    if (auto const* dns = std::get_if<session::dns::message>(message))
        names_.learn(*dns);
    else if (auto const* tls = std::get_if<session::tls::client_hello>(message))
        names_.learn(event.flow_id, server.address, tls->server_name);
    else if (auto const* quic = std::get_if<session::quic::initial>(message))
        names_.learn(event.flow_id, server.address, quic->hello.server_name);
}

void observer::set_filter(std::string const& expression) {
    try {
        capture_.set_filter(expression);
        choice_.reset();
    } catch (nr::system_error const& e) {
        if (e.code() != nr::error::bad_filter)
            throw;
        set_choice(expression, e.what());
    }
    filter_ = expression;
    tracker_ = make_tracker();
    now_ = told_ = {};
    base_ = before_ = capture_.statistics();
    seconds_.clear();
    cursor_ = {};
    walking_ = found_ = {};
    ended_.clear();
    past_ = {};
    names_.forget_flows();
}

void observer::set_choice(std::string const& expression, std::string const& not_a_filter) {
    nr::error_code error;
    nr::subscription::problem found;
    auto wanted = nr::subscription::expression::parse(expression, error, &found);
    if (error)
        throw nr::system_error{error, not_a_filter + "; nor for subscriptions: " + found.message + ", at character " +
                                          std::to_string(found.position)};
    packet_choice choice{std::move(wanted)};
    capture_.set_filter(choice.needed());
    choice_ = std::move(choice);
}

void observer::count_second(nr::capture_statistics const& statistics) {
    using std::chrono::system_clock;
    auto const time = std::chrono::duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch()).count();
    if (seconds_.empty() || seconds_.back().time != time)
        seconds_.push_back({time});
    auto& s = seconds_.back();
    s.packets += now_.packets - told_.packets;
    s.bytes += now_.bytes - told_.bytes;
    s.events += now_.events - told_.events;
    s.drops += statistics.dropped - before_.dropped;
    told_ = now_;
    before_ = statistics;
}

/// Looks at a part of the flows; when all were looked at, they are what is shown.
void observer::walk() {
    part_.clear();
    auto const more = tracker_.flows().snapshot(cursor_, part_, walked_at_once);
    auto const bytes = [](nr::flow::event const& flow) { return flow.stats.wire_bytes(); };
    nr::flow::top_flows<nr::flow::event, decltype(bytes)> greatest{flows_shown, bytes};
    greatest.offer(walking_.greatest);
    greatest.offer(part_);
    walking_.greatest = greatest.take();
    for (auto const& flow : part_)
        walking_.busy.add(flow);
    if (more)
        return;
    cursor_ = {};
    found_ = std::exchange(walking_, {});
    found_.busy.add(past_);
}

json::object observer::describe(nr::flow::event const& flow) {
    shown_.put(flow.flow_id, flow.key);
    auto const version = flow.key.ip_version;
    auto const end = [&](nr::flow::endpoint const& e) {
        return json::object{
            {"address", e.address.to_string(version)}, {"port", e.port}, {"name", names_.of(e.address)}};
    };
    auto const label = text(flow.key);
    json::object result{{"id", flow.flow_id},
                        {"protocol", label.substr(0, label.find(' '))},
                        {"from", end(flow.initiator())},
                        {"to", end(flow.responder())},
                        {"server", names_.of_flow(flow.flow_id)},
                        {"kind", text(flow.kind)},
                        {"state", text(flow.stats.state)},
                        {"history", flow.stats.history.str()},
                        {"up", live_view::describe(flow.stats.forward)},
                        {"down", live_view::describe(flow.stats.reverse)},
                        {"first", seconds(flow.stats.first_time)},
                        {"last", seconds(flow.stats.last_time)}};
    if (flow.reason != nr::flow::end_reason::none)
        result["reason"] = text(flow.reason);
    if (auto const time = flow.stats.round_trip())
        result["round_trip"] = std::chrono::duration<double>(*time).count();
    return result;
}

void observer::tick() {
    auto const elapsed = passed();
    if (choice_)
        take((*choice_)(elapsed));
    tracker_.pass(elapsed);
    if (auto const now = tracker_.now()) {
        tracker_.advance(*now + elapsed, messages_);
        learn();
    }
    count_second(capture_.statistics());
    walk();
}

json::value observer::state() {
    json::array seconds, busy, flows;
    for (auto const& s : seconds_)
        seconds.push_back({s.time, s.packets, s.bytes, s.drops, s.events});
    for (auto const& [who, what] : found_.busy.top(talkers_shown))
        busy.push_back(json::object{{"address", who.to_string()},
                                    {"name", names_.of(who)},
                                    {"sent", what.sent},
                                    {"received", what.received},
                                    {"flows", what.flows}});
    for (auto const& flow : found_.greatest)
        flows.push_back(describe(flow));
    std::for_each(ended_.rbegin(), ended_.rend(), [&](auto const& flow) { flows.push_back(describe(flow)); });
    auto const tracked = tracker_.statistics();
    return json::object{{"interface", interface()},
                        {"filter", filter_},
                        {"packets", now_.packets},
                        {"bytes", now_.bytes},
                        {"drops", before_.dropped - base_.dropped},
                        {"active", tracked.flows},
                        {"started", tracked.started},
                        {"ended", tracked.ended},
                        {"events", now_.events},
                        {"seconds", std::move(seconds)},
                        {"talkers", std::move(busy)},
                        {"flows", std::move(flows)}};
}

void observer::save(std::span<std::uint64_t const> flows, int descriptor) const {
    std::vector<flow_choice::key> keys;
    for (auto const id : flows)
        if (auto const* key = shown_.find(id))
            keys.push_back(*key);
    flow_choice wanted{keys, history_};
    nr::pcap::writer writer;
    writer.assign(descriptor, nr::pcap::writer_options{}.format(nr::pcap::file_format::pcap).link(capture_.link()));
    for (auto const& packet : history_)
        if (wanted(packet))
            writer.write(packet);
    writer.close();
}

} // namespace live_view
