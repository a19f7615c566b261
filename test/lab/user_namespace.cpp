#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <lab/user_namespace.hpp>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lab {

namespace {

constexpr char const* marker = "NETRING_ASIO_LAB_USER_NAMESPACE";
int obstacle = 0;

bool may_make_networks() {
    // A fork, so that this process keeps its namespace.
    pid_t const child = ::fork();
    if (child == 0)
        ::_exit(::unshare(CLONE_NEWNET) == 0 ? 0 : 1);
    int status = 1;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

bool write_file(char const* path, std::string const& content) {
    int const file = ::open(path, O_WRONLY | O_CLOEXEC);
    bool const written = file >= 0 && ::write(file, content.data(), content.size()) >= 0;
    ::close(file);
    return written;
}

// The program starts itself again where it is root of a user namespace. It must do so before a thread exists, because
// the kernel refuses to move a process with several; sanitizers start theirs early, hence the fork.
struct self_starter {
    self_starter() {
        if (std::getenv(marker) != nullptr || may_make_networks())
            return;
        auto const user = std::to_string(::geteuid()), group = std::to_string(::getegid());
        int failure[2];
        if (::pipe2(failure, O_CLOEXEC) != 0)
            return;
        pid_t const child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/setgroups", "deny") &&
                write_file("/proc/self/uid_map", "0 " + user + " 1") &&
                write_file("/proc/self/gid_map", "0 " + group + " 1")) {
                std::ifstream command{"/proc/self/cmdline", std::ios::binary};
                std::string line{std::istreambuf_iterator<char>{command}, {}};
                std::vector<char*> argv;
                for (std::size_t at = 0; at < line.size(); at += std::strlen(line.data() + at) + 1)
                    argv.push_back(line.data() + at);
                argv.push_back(nullptr);
                ::setenv(marker, "1", 1);
                ::execv("/proc/self/exe", argv.data());
            }
            int const error = errno;
            (void)!::write(failure[1], &error, sizeof error);
            ::_exit(1);
        }
        ::close(failure[1]);
        int status = 0;
        if (::read(failure[0], &obstacle, sizeof obstacle) != sizeof obstacle && child > 0) {
            while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
            }
            ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        ::close(failure[0]);
        if (child > 0)
            ::waitpid(child, &status, 0);
    }
} const start;

} // namespace

bool in_user_namespace() {
    std::ifstream map{"/proc/self/uid_map"};
    unsigned long inside = 0, outside = 0, count = 0;
    map >> inside >> outside >> count;
    return inside != 0 || outside != 0 || count != 0xffff'ffffUL;
}

std::string user_namespace_obstacle() {
    return obstacle == 0 ? "" : std::string{"; no user namespace either: "} + std::strerror(obstacle);
}

} // namespace lab
