"""ApiVersions: that it answers, and which versions of which API."""


def run(both):
    software = {"clientSoftwareName": "differential", "clientSoftwareVersion": "1"}
    for version in both.versions_of("ApiVersions"):
        answers = [side.ask("ApiVersions", version, software) for side in both.sides]
        for answer in answers:
            answer.pop("apiKeys")  # Compared below.
        both.judge("all", "ApiVersions", version, answers)
    ranges = [side.versions() for side in both.sides]
    for key in sorted(ranges[0].keys() | ranges[1].keys()):
        kafka, fletch = (list(each.get(key, ())) for each in ranges)
        if kafka != fletch:
            both.note("ranges", "ApiVersions", 0, f"{key}", kafka, fletch)
    both.last("no name", "ApiVersions", {"clientSoftwareName": "", "clientSoftwareVersion": "1"})
    both.last("bad name", "ApiVersions", {"clientSoftwareName": "a b", "clientSoftwareVersion": "1"})
