#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

#include <sched.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

namespace bench {

using nanoseconds = std::chrono::duration<double, std::nano>;
using seconds = std::chrono::duration<double>;

inline std::chrono::nanoseconds read_clock(clockid_t clock) noexcept {
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// CPU time of the calling thread, user and system.
inline nanoseconds thread_cpu_time() noexcept { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

/// CPU time, user and system, and voluntary context switches of a process, all its threads. Taken from outside, so that
/// nothing of it falls into what is measured.
struct usage {
    nanoseconds cpu{};
    std::uint64_t wakeups = 0;

    static usage of(pid_t process) {
        usage result;
        clockid_t clock{};
        if (int const error = ::clock_getcpuclockid(process, &clock); error != 0)
            throw std::system_error{error, std::generic_category(), "clock_getcpuclockid"};
        result.cpu = read_clock(clock);
        for (auto const& thread : std::filesystem::directory_iterator{"/proc/" + std::to_string(process) + "/task"}) {
            std::ifstream status{thread.path() / "status"};
            for (std::string line; std::getline(status, line);)
                if (constexpr std::string_view name = "voluntary_ctxt_switches:"; line.starts_with(name))
                    result.wakeups += std::stoull(line.substr(name.size()));
        }
        return result;
    }
    friend usage operator-(usage const& a, usage const& b) noexcept { return {a.cpu - b.cpu, a.wakeups - b.wakeups}; }
};

/// CPU time of the whole machine, to tell how much of it was not ours.
inline seconds machine_cpu_time() {
    std::ifstream file{"/proc/stat"};
    file.ignore(std::numeric_limits<std::streamsize>::max(), ' ');
    double user = 0, nice = 0, system = 0, idle = 0, io_wait = 0, irq = 0, soft_irq = 0;
    file >> user >> nice >> system >> idle >> io_wait >> irq >> soft_irq;
    return seconds{(user + nice + system + irq + soft_irq) / static_cast<double>(::sysconf(_SC_CLK_TCK))};
}

/// Binds the calling thread to a processor, modulo those that there are.
inline void pin_to(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(processor % static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN))), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0)
        throw std::system_error{errno, std::generic_category(), "sched_setaffinity"};
}

inline constexpr int generator_processor = 0;
inline constexpr int receiver_processor = 1;

} // namespace bench
