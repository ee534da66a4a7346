/*
 * transport.c
 *		HTTP requests, many at a time, by libcurl; knows nothing of the database.
 *
 * libcurl says which sockets to watch; they are in an epoll set of our own, and that set is one
 * member of the server's WaitEventSet, beside the latch and the postmaster's death.  So one wait
 * hears of everything, and interrupts are served by whoever calls transport_wait().  Where there is
 * no epoll the sockets are polled every few milliseconds while requests are under way.
 *
 * Names are resolved in a thread of libcurl's.  All signals are blocked while libcurl runs, so that
 * its threads inherit that: the server's signal handlers must run in the main thread only.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "webhook/address.h"
#include "webhook/transport.h"

#define MAX_REDIRECTS 3
#define MAX_HEADER_BYTES 65536	/* of an answer */
#define MAX_IDLE_CONNECTIONS 200
#define MAX_SPARE_HANDLES 64
#define MAX_SOCKET_EVENTS 64
#define POLL_MS 5				/* without epoll */

typedef struct Transfer
{
	CURL	   *easy;
	struct curl_slist *headers;
	TransportDone done;
	void	   *context;
	bool		keep_answer;
	bool		blocked;		/* its address is private */
	bool		too_long;		/* its answer was cut off */
	size_t		header_bytes;
	size_t		body_bytes;
	size_t		max_answer;
	size_t		answer_size;	/* of the allocation */
	time_t		date;			/* of the header Date; 0 for none */
	char	   *answer;			/* malloc'd; NULL without keep_answer */
	char		error[CURL_ERROR_SIZE];
} Transfer;

static CURLM *multi = NULL;
static WaitEventSet *wait_set = NULL;
static int	running = 0;		/* requests under way */
static long curl_timeout = -1;	/* ms after which libcurl wants to be called; -1 for not */
static TimestampTz curl_timer_set_at;
static CURL *spare[MAX_SPARE_HANDLES];
static int	n_spare = 0;
static TransportSettings current = {10000, false, ""};
#ifdef __linux__
static int	epoll_fd = -1;
#endif

/* Runs libcurl with all signals blocked: see the top. */
static CURLMcode
run_socket(curl_socket_t socket, int events)
{
	sigset_t	all;
	sigset_t	before;
	CURLMcode	code;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	code = curl_multi_socket_action(multi, socket, events, &running);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

/* libcurl wants a socket watched, otherwise watched, or no longer watched. */
static int
watch_socket(CURL *easy, curl_socket_t socket, int what, void *user, void *known)
{
#ifdef __linux__
	struct epoll_event event = {0};

	(void) easy;
	(void) user;
	if (what == CURL_POLL_REMOVE)
	{
		(void) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, socket, &event);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	event.data.fd = socket;
	if (epoll_ctl(epoll_fd, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event) < 0 &&
		epoll_ctl(epoll_fd, known == NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) < 0)
		return -1;
	curl_multi_assign(multi, socket, &epoll_fd);
#else
	(void) easy;
	(void) socket;
	(void) what;
	(void) user;
	(void) known;
#endif
	return 0;
}

/* libcurl wants to be called after that many ms; -1 for not. */
static int
set_timer(CURLM *multi_handle, long timeout_ms, void *user)
{
	(void) multi_handle;
	(void) user;
	curl_timeout = timeout_ms;
	curl_timer_set_at = GetCurrentTimestamp();
	return 0;
}

/* See transport.h. */
void
transport_start(void)
{
	curl_version_info_data *version;

	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		ereport(ERROR, (errmsg("could not start libcurl")));
	version = curl_version_info(CURLVERSION_NOW);
	if ((version->features & CURL_VERSION_ASYNCHDNS) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("libcurl %s resolves names without a thread", version->version),
				 errdetail("A slow name server would stop all webhooks."),
				 errhint("Install a libcurl built with the threaded resolver or c-ares.")));
	multi = curl_multi_init();
	if (multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) MAX_IDLE_CONNECTIONS);
	wait_set = create_wait_event_set_compat(TopMemoryContext, 3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
#ifdef __linux__
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		ereport(ERROR, (errcode_for_socket_access(), errmsg("could not create an epoll set: %m")));
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, epoll_fd, NULL, NULL);
#endif
}

/* See transport.h. */
void
transport_set(const TransportSettings *settings)
{
	current = *settings;
}

/* A connection is to be made: the address is the real one, after any redirect and name look-up. */
static curl_socket_t
open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	Transfer   *transfer = data;

	(void) purpose;
	if (current.block_private && address_is_private(&address->addr))
	{
		transfer->blocked = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* A request is about to be sent, perhaps on a connection that was made before private addresses were blocked. */
static int
check_connection(void *data, char *remote, char *local, int remote_port, int local_port)
{
	Transfer   *transfer = data;
	struct sockaddr_in6 ipv6 = {0};
	struct sockaddr_in ipv4 = {0};
	bool		blocked;

	(void) local;
	(void) remote_port;
	(void) local_port;
	ipv6.sin6_family = AF_INET6;
	ipv4.sin_family = AF_INET;
	if (inet_pton(AF_INET, remote, &ipv4.sin_addr) == 1)
		blocked = address_is_private((struct sockaddr *) &ipv4);
	else if (inet_pton(AF_INET6, remote, &ipv6.sin6_addr) == 1)
		blocked = address_is_private((struct sockaddr *) &ipv6);
	else
		blocked = true;
	if (!current.block_private || !blocked)
		return CURL_PREREQFUNC_OK;
	transfer->blocked = true;
	return CURL_PREREQFUNC_ABORT;
}
#endif

/* A header line of the answer. */
static size_t
take_header(char *data, size_t size, size_t n, void *user)
{
	Transfer   *transfer = user;
	char		date[64];

	if (size * n > 5 && size * n < sizeof(date) && pg_strncasecmp(data, "date:", 5) == 0)
	{
		memcpy(date, data + 5, size * n - 5);
		date[size * n - 5] = '\0';
		transfer->date = Max(curl_getdate(date, NULL), 0);
	}
	transfer->header_bytes += size * n;
	return transfer->header_bytes > MAX_HEADER_BYTES ? 0 : size * n;
}

/* A piece of the answer's body; what is beyond the limit ends the transfer, and the connection. */
static size_t
take_body(char *data, size_t size, size_t n, void *user)
{
	Transfer   *transfer = user;
	size_t		bytes = size * n;

	if (transfer->body_bytes + bytes > transfer->max_answer)
	{
		transfer->too_long = true;
		return 0;
	}
	if (transfer->keep_answer)
	{
		if (transfer->body_bytes + bytes > transfer->answer_size)
		{
			size_t		wanted = Min(Max(2 * (transfer->body_bytes + bytes), TRANSPORT_BODY_SIZE), transfer->max_answer);
			char	   *larger = realloc(transfer->answer, wanted);

			if (larger == NULL)
				return 0;
			transfer->answer = larger;
			transfer->answer_size = wanted;
		}
		memcpy(transfer->answer + transfer->body_bytes, data, bytes);
	}
	transfer->body_bytes += bytes;
	return bytes;
}

/* An https endpoint stays https. */
static void
limit_protocols(CURL *easy, const char *url)
{
	bool		secure = pg_strncasecmp(url, "https:", 6) == 0;

#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS,
					 (long) (secure ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* Everything that a request must not leave to libcurl's defaults or to the environment. */
static void
set_options(Transfer *transfer, const TransportRequest *request)
{
	CURL	   *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (request->body != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(request->body));
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body);
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "adapty/" ADAPTY_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) current.timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) current.timeout_ms);
	/* what authorizes a GET is for that server alone */
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->body != NULL ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long) MAX_REDIRECTS);
	curl_easy_setopt(easy, CURLOPT_POSTREDIR, (long) CURL_REDIR_POST_ALL);
	limit_protocols(easy, request->url);
	if (current.ca_file != NULL && current.ca_file[0] != '\0')
		curl_easy_setopt(easy, CURLOPT_CAINFO, current.ca_file);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
#if LIBCURL_VERSION_NUM >= 0x075000
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, check_connection);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
#else
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, current.block_private ? 1L : 0L);
#endif
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
}

/* ERROR: no memory for a request. */
static void
report_no_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Failed on a request of a webhook.")));
}

/* See transport.h. */
void
transport_send(const TransportRequest *request, TransportDone done, void *context)
{
	Transfer   *transfer = calloc(1, sizeof(Transfer));

	if (transfer == NULL)
		report_no_memory();
	transfer->easy = n_spare > 0 ? spare[--n_spare] : curl_easy_init();
	if (transfer->easy == NULL)
	{
		free(transfer);
		report_no_memory();
	}
	for (int i = 0; i < request->n_headers; i++)
	{
		struct curl_slist *longer = curl_slist_append(transfer->headers, request->headers[i]);

		if (longer == NULL)
			report_no_memory();
		transfer->headers = longer;
	}
	transfer->done = done;
	transfer->context = context;
	transfer->keep_answer = request->keep_answer;
	transfer->max_answer = request->max_answer > 0 ? request->max_answer : TRANSPORT_BODY_SIZE;
	set_options(transfer, request);
	if (curl_multi_add_handle(multi, transfer->easy) != CURLM_OK)
		report_no_memory();
	running++;
}

/* Why a request has no status, for people. */
static void
describe_failure(const Transfer *transfer, CURLcode code, char *error)
{
	if (transfer->blocked)
		strlcpy(error, "the address is private, and adapty.webhook_block_private is on", TRANSPORT_ERROR_SIZE);
	else if (transfer->header_bytes > MAX_HEADER_BYTES)
		strlcpy(error, "the answer has too many headers", TRANSPORT_ERROR_SIZE);
	else
		strlcpy(error, transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code), TRANSPORT_ERROR_SIZE);
	/* It goes into the database and into the log. */
	for (char *c = error; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

/* A request is over: tells whom it concerns and gives back what it took. */
static void
finish(Transfer *transfer, CURLcode code)
{
	TransportResult result = {0};
	long		status = 0;
	curl_off_t	retry_after = 0;
	double		seconds = 0;

	/* With a whole header a body that is too long is no matter. */
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && transfer->too_long))
	{
		curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
	}
	result.status = (int) status;
	result.retry_after = (int) Min(retry_after, 86400);
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME, &seconds);
	if (transfer->date > 0)
		result.served_at = (int64) transfer->date - 1 - (int64) seconds;
	result.too_long = transfer->too_long;
	result.answer = transfer->answer != NULL ? transfer->answer : "";
	result.answer_length = transfer->answer != NULL ? (int) transfer->body_bytes : 0;
	if (status == 0)
		describe_failure(transfer, code, result.error);
	transfer->done(transfer->context, &result);

	curl_multi_remove_handle(multi, transfer->easy);
	curl_easy_reset(transfer->easy);
	if (n_spare < MAX_SPARE_HANDLES)
		spare[n_spare++] = transfer->easy;
	else
		curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	free(transfer->answer);
	free(transfer);
}

/* Tells of all requests that are over. */
static void
finish_all(void)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		Transfer   *transfer;
		CURLcode	code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &transfer);
		finish(transfer, code);
	}
}

/* Milliseconds until libcurl wants to be called; -1 for not. */
static long
until_timer(void)
{
	long		elapsed;

	if (curl_timeout < 0)
		return -1;
	elapsed = (GetCurrentTimestamp() - curl_timer_set_at) / 1000;
	return elapsed < 0 ? 0 : Max(curl_timeout - elapsed, 0);
}

/* Lets libcurl see to the sockets at which something happened. */
static void
serve_sockets(void)
{
#ifdef __linux__
	struct epoll_event events[MAX_SOCKET_EVENTS];
	int			n = epoll_wait(epoll_fd, events, MAX_SOCKET_EVENTS, 0);

	for (int i = 0; i < n; i++)
		(void) run_socket(events[i].data.fd,
						  (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
						  (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
						  (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
#else
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	(void) curl_multi_perform(multi, &running);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
}

/* See transport.h. */
void
transport_wait(long timeout_ms)
{
	static uint32 wait_event = 0;
	WaitEvent	occurred[3];
	long		timer = until_timer();
	int			n;

	if (timer >= 0)
		timeout_ms = Min(timeout_ms, timer);
#ifndef __linux__
	if (running > 0)
		timeout_ms = Min(timeout_ms, POLL_MS);
#endif
	n = WaitEventSetWait(wait_set, timeout_ms, occurred, lengthof(occurred),
						 wait_event_compat(wait_event, "AdaptyWebhooks"));
	for (int i = 0; i < n; i++)
	{
		if (occurred[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
	}
	serve_sockets();
	if (until_timer() == 0)
	{
		curl_timeout = -1;
		(void) run_socket(CURL_SOCKET_TIMEOUT, 0);
	}
	finish_all();
}
