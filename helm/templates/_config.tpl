{{/* The one configuration file of both programs. It holds no secret: it names the files in which they are. */}}
{{- define "ringfence.config" -}}
[postgres]
url_file = "stores/postgres-url"
max_connections = {{ int .Values.stores.postgresConnections }}

[redis]
url_file = "stores/redis-url"

[keys]
file = "keys.toml"

[api]
listen = "0.0.0.0:{{ int .Values.api.port }}"
admin = "0.0.0.0:{{ int .Values.api.admin.port }}"

[dialer]
sip = "0.0.0.0:{{ int .Values.dialer.sip.port }}"
admin = "0.0.0.0:{{ int .Values.dialer.admin.port }}"
prompts = "/var/lib/ringfence/prompts"
lists = "/var/lib/ringfence/lists"
rtp_ports = [{{ int .Values.dialer.rtp.firstPort }}, {{ int .Values.dialer.rtp.endPort }}]
{{- if .Values.rules.house }}
house = "house.toml"
{{- end }}
{{ end -}}

{{/* The same folder for every pod: the file above beside the Secrets that it names. */}}
{{- define "ringfence.configVolume" -}}
name: config
projected:
  # 0440, in decimal: YAML 1.1 and 1.2 read a leading zero differently.
  defaultMode: 288
  sources:
    - configMap:
        name: {{ include "ringfence.fullname" . }}-config
    - secret:
        name: {{ .Values.stores.existingSecret }}
        items:
          - key: {{ .Values.stores.keys.postgres }}
            path: stores/postgres-url
          - key: {{ .Values.stores.keys.redis }}
            path: stores/redis-url
    - secret:
        name: {{ .Values.keys.existingSecret }}
        items:
          - key: {{ .Values.keys.key }}
            path: keys.toml
{{- end -}}

{{/* The source of a volume, an empty folder if none is given. Takes the source. */}}
{{- define "ringfence.volume" -}}
{{- if . -}}
{{- toYaml . -}}
{{- else -}}
emptyDir: {}
{{- end -}}
{{- end -}}

{{/* What no container needs, it does not get. */}}
{{- define "ringfence.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What every pod has. Takes the root. */}}
{{- define "ringfence.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Pods of a component apart from each other, as far as that goes. Takes a list: the component and the root. */}}
{{- define "ringfence.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "ringfence.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* Where a component's pods may stand. Takes the component's values. */}}
{{- define "ringfence.placing" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "ringfence.check" -}}
{{- with .Values.dialer }}
{{- if ge (int .rtp.firstPort) (int .rtp.endPort) }}
{{- fail "dialer.rtp: endPort must be greater than firstPort" }}
{{- end }}
{{- if and (ge (int .sip.port) (int .rtp.firstPort)) (lt (int .sip.port) (int .rtp.endPort)) }}
{{- fail "dialer.sip.port lies among the ports of dialer.rtp" }}
{{- end }}
{{- if and (ne .advertise "podIP") (ne .advertise "hostIP") (gt (int .replicas) 1) }}
{{- fail "dialer.advertise: one literal address serves one replica only; use podIP or hostIP" }}
{{- end }}
{{- if and (eq .advertise "hostIP") (not .hostNetwork) }}
{{- fail "dialer.advertise: hostIP needs hostNetwork: true, because nothing listens on the machine's address otherwise; or use podIP" }}
{{- end }}
{{- end }}
{{- /* SIP is UDP and dialer.admin is TCP: those two may have one number. */}}
{{- if eq (int .Values.api.port) (int .Values.api.admin.port) }}
{{- fail "api.port and api.admin.port are the same TCP port of a pod" }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- if and .Values.monitoring.podMonitor.enabled (not .Values.networkPolicy.metricsPeers) }}
{{- fail "monitoring.podMonitor.enabled: networkPolicy.metricsPeers is empty, so Prometheus would reach no pod" }}
{{- end }}
{{- if and .Values.api.ingress.enabled (not .Values.networkPolicy.apiPeers) }}
{{- fail "api.ingress.enabled: networkPolicy.apiPeers is empty, so the ingress controller would not reach the API" }}
{{- end }}
{{- if and (ne .Values.api.service.type "ClusterIP") (not .Values.networkPolicy.apiPeers) }}
{{- fail (printf "api.service.type %s: networkPolicy.apiPeers is empty, so nobody would reach the API" .Values.api.service.type) }}
{{- end }}
{{- end }}
{{- end -}}
